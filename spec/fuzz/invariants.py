"""What must hold of any engine at every step, whatever it decides."""
from collections import Counter

from impl.config import SLIDING_WINDOW
from reference.trace import FINISHED, NULL, RUNNING, Run, ScheduledRequest, Step, by_group
from reference.workload import RequestSpec, Workload

Tables = tuple[tuple[int, ...], ...]        # of one request, one per KV cache group


class InvariantError(AssertionError):
    """An engine lost a block, counted a reference wrong, or overspent."""


class Invariants:
    """Watches one engine through one run: pass it to `play` as `watch`, then call `check_run`."""

    def __init__(self, workload: Workload, engine: str):
        self.workload, self.engine = workload, engine
        config = workload.config
        self.block_size, self.budget = config["block_size"], config["max_num_batched_tokens"]
        self.seats = config.get("max_num_active_seqs") or config["max_num_seqs"]
        # A request may hold blocks for drafts that were rejected, and for its proposer.
        self.spare_tokens = config.get("num_speculative_tokens", 0) + config.get("num_lookahead_tokens", 0)
        self.all_blocks = set(range(1, config["num_blocks"]))
        self.window = config.get("sliding_window")
        self.kinds = config.get("kv_cache_groups") or (SLIDING_WINDOW,)     # where there is no window, nobody asks
        self.num_groups = len(self.kinds)
        self.tables: dict[str, Tables] = {}
        self.in_flight: dict[str, int] = {}     # tokens of the step before, where it is still computed when the next is decided

    def __call__(self, engine, step: Step) -> None:
        self._check_budget(step)
        self._follow_tables(step)
        if self.workload.config.get("async_scheduling"):
            self.in_flight = {share.request_id: share.num_tokens for share in step.scheduled}
        self._check_blocks(step, engine.ref_counts())

    def check_run(self, run: Run) -> None:
        """Every request was told its own text from the start, and a finished run has given everything back."""
        owners: dict[str, list[RequestSpec]] = {}
        for spec in self.workload.requests:
            for request_id in [f"{index}_{spec.request_id}" for index in range(spec.n)] if spec.n > 1 else [spec.request_id]:
                owners.setdefault(request_id, []).append(spec)
        for request_id, tokens in run.outputs.items():
            spec, *others = owners[request_id]
            if others:      # an id used twice, one after the other: the texts cannot be told apart here
                continue
            expected = [spec.output_token(request_id, number) for number in range(1, len(tokens) + 1)]
            self._require(tokens == expected, None, f"{request_id} was told {tokens}, its text is {expected}")
        if run.ended == FINISHED and run.steps:
            free = run.steps[-1].updated_state.free_blocks
            self._require(len(free) == len(self.all_blocks), None, f"{len(self.all_blocks) - len(free)} blocks were lost")

    def _check_budget(self, step: Step) -> None:
        self._require(step.num_tokens <= self.budget, step, f"{step.num_tokens} tokens of a budget of {self.budget}")
        running = step.scheduled_state.running
        self._require(len(running) <= self.seats, step, f"{len(running)} requests on {self.seats} seats")
        self._require(all(share.num_tokens > 0 for share in step.scheduled), step, "a request was scheduled without a token")

    def _follow_tables(self, step: Step) -> None:
        told = step.scheduled_state.block_tables
        for share in step.scheduled:
            if share.kind != RUNNING:
                self.in_flight.pop(share.request_id, None)
            before = self.tables[share.request_id] if share.kind == RUNNING else ((),) * self.num_groups
            added = by_group(share.new_block_ids) if share.new_block_ids else ((),) * self.num_groups
            tables = self.tables[share.request_id] = tuple(old + new for old, new in zip(before, added))
            needed = -(-(share.num_computed_tokens + share.num_tokens) // self.block_size)
            at_most = -(-(share.num_computed_tokens + share.num_tokens + self.spare_tokens) // self.block_size)
            for table in tables:
                self._require(needed <= len(table) <= at_most, step, f"{share.request_id} holds {len(table)} blocks and needs {needed}")
            if told is not None:
                seen = self.tables[share.request_id] = self._within_windows(share, tables)
                self._require(told[share.request_id] == seen, step, f"{share.request_id} holds {told[share.request_id]} and should {seen}")

    def _within_windows(self, share: ScheduledRequest, tables: Tables) -> Tables:
        """The tables with the null block in each place of which a window has left every token."""
        gone = max(0, share.num_computed_tokens - self.in_flight.get(share.request_id, 0) - self.window + 1) // self.block_size
        return tuple((NULL,) * gone + table[gone:] if kind == SLIDING_WINDOW else table for kind, table in zip(self.kinds, tables))

    def _check_blocks(self, step: Step, ref_counts: list[int]) -> None:
        held = Counter(block_id for request_id in step.updated_state.running for table in self.tables[request_id] for block_id in table if block_id != NULL)
        free = step.updated_state.free_blocks
        self._require(len(free) == len(set(free)), step, "a block is in the free queue twice")
        self._require(held.keys().isdisjoint(free), step, "a block is free and in use")
        self._require(held.keys() | set(free) == self.all_blocks, step, "blocks were lost")
        wrong = [block_id for block_id in self.all_blocks if ref_counts[block_id] != held[block_id]]
        self._require(not wrong, step, f"the references to blocks {wrong} are counted wrong")

    def _require(self, holds: bool, step: Step | None, otherwise: str) -> None:
        if not holds:
            raise InvariantError(f"{self.engine}{f', step {step.index}' if step else ''}: {otherwise}")
