"""What must hold of any engine at every step, whatever it decides."""
from collections import Counter

from reference.trace import FINISHED, RUNNING, Run, Step
from reference.workload import RequestSpec, Workload


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
        self.tables: dict[str, tuple[int, ...]] = {}

    def __call__(self, engine, step: Step) -> None:
        self._check_budget(step)
        self._follow_tables(step)
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
        for share in step.scheduled:
            before = self.tables[share.request_id] if share.kind == RUNNING else ()
            table = self.tables[share.request_id] = before + share.new_block_ids
            num_tokens = share.num_computed_tokens + share.num_tokens
            needed, at_most = (-(-tokens // self.block_size) for tokens in (num_tokens, num_tokens + self.spare_tokens))
            self._require(needed <= len(table) <= at_most, step, f"{share.request_id} holds {len(table)} blocks and needs {needed}")

    def _check_blocks(self, step: Step, ref_counts: list[int]) -> None:
        held = Counter(block_id for request_id in step.updated_state.running for block_id in self.tables[request_id])
        free = step.updated_state.free_blocks
        self._require(len(free) == len(set(free)), step, "a block is in the free queue twice")
        self._require(held.keys().isdisjoint(free), step, "a block is free and in use")
        self._require(held.keys() | set(free) == self.all_blocks, step, "blocks were lost")
        wrong = [block_id for block_id in self.all_blocks if ref_counts[block_id] != held[block_id]]
        self._require(not wrong, step, f"the references to blocks {wrong} are counted wrong")

    def _require(self, holds: bool, step: Step | None, otherwise: str) -> None:
        if not holds:
            raise InvariantError(f"{self.engine}{f', step {step.index}' if step else ''}: {otherwise}")
