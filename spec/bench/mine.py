"""`--mine=block_pool`: the learner's answer to a drill takes the place of what it mirrors in impl, and is compared with the real vLLM.

    --mine=NAME             the learner's own, from drills/mine
    --mine=NAME:solution    or stub, or wrong_..., by the name of the file; or the path of any file
"""
import importlib
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from drills.answers import load
from drills.drill import Drill, all_drills
from impl.block_manager import NotEnoughBlocks
from impl.outputs import NEW, RESUMED, RUNNING, ScheduledRequest, SchedulerOutput
from impl.request import Request, RequestStatus
from impl.scheduler import PauseState, Scheduler
from impl.step import long_prefill_cap


def put_in(asked: str) -> str:
    """Put an answer into impl; returns, in words, whose it is. Raises `pytest.UsageError`."""
    name, _, which = asked.partition(":")
    drill = next((drill for drill in all_drills() if drill.name == name), None)
    if name not in PIECES or drill is None:
        raise pytest.UsageError(f"--mine={asked}: the engine has no place for {name!r}; it has for {', '.join(PIECES)}")
    path = drill.mine if not which else drill.folder / f"{which}.py" if "/" not in which and not which.endswith(".py") else Path(which)
    if not path.is_file():
        raise pytest.UsageError(f"--mine={asked}: there is no {path}; " + (
            f"there are {', '.join(each.stem for each in (drill.solution, *drill.wrong))}" if which else f"python -m drills start {name} begins your answer"))
    try:
        PIECES[name](load(path))
    except Exception as error:
        raise pytest.UsageError(f"--mine={asked}: {path} cannot take its place in impl: {type(error).__name__}: {error}") from error
    return f"your {name}" if not which else f"{name} by {_short(path, drill)}"


def _short(path: Path, drill: Drill) -> str:
    return f"its {path.stem}" if path.parent == drill.folder else str(path)


def replace(module: str, name: str, new: object) -> None:
    """Everywhere in impl, also where it has been imported already."""
    old = getattr(importlib.import_module(module), name)
    for each in [each for key, each in sys.modules.items() if key.partition(".")[0] == "impl"]:
        if vars(each).get(name) is old:
            setattr(each, name, new)


def block_pool(answer: ModuleType) -> None:
    """The interface is the same; only that a share such as 1/3 can be rounded in two ways, and vLLM's is compared to the last bit."""
    class BlockPool(answer.BlockPool):
        @property
        def usage(self) -> float:
            usage, total = super().usage, len(self.blocks) - 1
            rounded = 1.0 - (total - round(usage * total)) / total if total else 0.0
            return rounded if abs(rounded - usage) < 1e-9 else usage

    replace("impl.block_pool", "BlockPool", BlockPool)


def prefix_hash_chain(answer: ModuleType) -> None:
    """The interface is the same."""
    replace("impl.block_hash", "extend_hash_chain", answer.extend_hash_chain)


def sampling_filters(answer: ModuleType) -> None:
    """One tensor for each parameter, instead of one object for each request. For whom the temperature is 0, impl decides before."""
    import torch

    def thin_out(logits, all_params):
        def column(name: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.tensor([getattr(params, name) for params in all_params], dtype=dtype, device=logits.device)

        return answer.thin_out(logits, column("temperature"), column("top_k", torch.int64), column("top_p"), column("min_p"))

    replace("impl.logits_processors", "thin_out", thin_out)


def continuous_batching_step(answer: ModuleType) -> None:
    """Under the policy "fcfs", the step decides who computes how much, who is admitted and who is preempted.

    impl's part: what a refusal depends on (the pool, the watermark, whole prompts), pausing, the statistics, and the output.
    The policy "priority" and speculative decoding are not in the drill: there impl decides as before.
    """
    decide = Scheduler.schedule

    def schedule(self: Scheduler) -> SchedulerOutput:
        if self.config.policy == "priority" or self.config.num_speculative_tokens or self.pause_state is PauseState.PAUSED_ALL:
            return decide(self)
        cap = long_prefill_cap(self.config, len(self.running) + len(self.waiting))
        blocks = _Blocks(self, cap)
        queue = self.waiting._requests
        waiting = deque() if self.pause_state is PauseState.PAUSED_NEW else queue      # nobody to admit
        step = answer.schedule_step(self.running, waiting, blocks, self.config.max_num_batched_tokens, self.admission.max_active, cap)
        if waiting is not queue:
            queue.extendleft(reversed(waiting))     # who was preempted stands in front of the others
        scheduled = [blocks.share(request_id, num_tokens) for request_id, num_tokens in step.scheduled.items()]
        output = SchedulerOutput(scheduled, [*self.preempted_req_ids, *step.preempted], self.finished_req_ids)
        self.preempted_req_ids, self.finished_req_ids = [], []
        return output

    Scheduler.schedule = schedule


class _Blocks:
    """The drill's `Blocks`, on impl's block manager. It notes what the output of the step has to say of each request."""

    def __init__(self, scheduler: Scheduler, cap: int | None):
        self.scheduler, self.manager, self.cap = scheduler, scheduler.block_manager, cap
        self.shares: dict[str, tuple] = {}      # by request: its kind, what was computed before, its new blocks

    def cached_tokens(self, request: Request) -> int:
        return len(self.manager.get_computed_blocks(request)) * self.manager.block_size

    def admit(self, request: Request, num_cached_tokens: int, num_new_tokens: int) -> bool:
        config, missing = self.scheduler.config, request.num_tokens - num_cached_tokens
        if not config.enable_chunked_prefill and num_new_tokens < min(missing, self.cap or missing):
            return False        # the budget would cut it
        computed = self.manager.get_computed_blocks(request)[:num_cached_tokens // self.manager.block_size]
        if self.manager.admit(request, computed, num_new_tokens, reserve_full_prompt=config.scheduler_reserve_full_isl,
                              keep_watermark=bool(self.scheduler.running)):
            return False
        self.manager.record_stats(request, num_cached_tokens)
        kind = RESUMED if request.status is RequestStatus.PREEMPTED else NEW
        request.status = RequestStatus.RUNNING
        self.shares[request.request_id] = kind, num_cached_tokens, self.manager.block_ids(request.request_id)
        return True

    def allocate(self, request: Request, num_new_tokens: int) -> bool:
        new_blocks = self.manager.allocate_slots(request, num_new_tokens)
        if isinstance(new_blocks, NotEnoughBlocks):
            return False
        self.shares[request.request_id] = RUNNING, request.num_computed_tokens, tuple(block.block_id for block in new_blocks)
        return True

    def free(self, request: Request) -> None:
        self.manager.free(request)
        request.status = RequestStatus.PREEMPTED
        request.num_preemptions += 1

    def share(self, request_id: str, num_tokens: int) -> ScheduledRequest:
        kind, num_computed_tokens, new_block_ids = self.shares[request_id]
        return ScheduledRequest(request_id, kind, num_tokens, num_computed_tokens, new_block_ids)


# What takes which place. A drill whose interface is not impl's has a small adapter above.
PIECES: dict[str, Callable[[ModuleType], None]] = {
    "block_pool": block_pool, "prefix_hash_chain": prefix_hash_chain, "continuous_batching_step": continuous_batching_step,
    "sampling_filters": sampling_filters}
