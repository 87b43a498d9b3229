"""Random workloads: crowded, with shared prefixes, and with everything that can go on."""
from dataclasses import replace
from random import Random

from impl.config import FULL_ATTENTION as FULL
from impl.config import SLIDING_WINDOW as WINDOW
from impl.config import SchedulerConfig
from reference.workload import EOS, RequestSpec, Workload, workload

STOP_TOKEN = 7
# Plain, or with one step in flight, with sliding windows (some with a step in flight too), with grammars to wait for, or with drafts.
KINDS = PLAIN, ASYNC, WINDOWS, STRUCTURED, SPECULATIVE = "plain", "async", "windows", "structured", "speculative"
# In which share of the workloads of a kind something has to happen, or they say nothing.
MUST_HAPPEN = {PLAIN: {"preemption": 0.30, "cache hit": 0.50, "abort": 0.20, "eviction": 0.30},
               ASYNC: {"wasted share": 0.30, "end known in advance": 0.50, "token for a preempted request": 0.20,
                       "end while preempted": 0.02, "reset in flight": 0.05},
               WINDOWS: {"out of window": 0.50, "hit behind a gap": 0.20, "several groups": 0.30},
               STRUCTURED: {"grammar wait": 0.80, "error end": 0.20},
               SPECULATIVE: {"accepted draft": 0.90, "rejected draft": 0.80, "truncated drafts": 0.50, "preempted drafts": 0.20,
                             "placeholders": 0.10, "end inside drafts": 0.50}}


def must_happen(kind: str) -> dict[str, float]:
    return MUST_HAPPEN[PLAIN] | MUST_HAPPEN[kind]


def random_workload(rng: Random, kind: str = PLAIN) -> Workload:
    """A workload in which something happens: about a dozen requests, a pool they do not all fit into.

    The same number makes the same one for either scheduler, the plain and the asynchronous.
    """
    built = random_limits(rng)
    if kind == WINDOWS:
        built = random_windows(rng, built)
    max_model_len = built.config["max_model_len"]
    num_requests, spread = rng.randint(8, 14), rng.choice((0, 5, 20, 30))
    for number in range(num_requests):
        built = built.request(**random_request(rng, f"r{number}", max_model_len, rng.randint(0, spread)))
    if rng.random() < 0.1:
        built = bad_request(rng, built)
    if kind == STRUCTURED:
        built = random_grammars(rng, built)
    built = random_actions(rng, built, num_requests, spread + 20)
    if kind == SPECULATIVE:
        built = random_drafts(rng, built)
    return built.with_config(async_scheduling=True) if kind == ASYNC else built


def random_drafts(rng: Random, built: Workload) -> Workload:
    """The same with drafts: mostly right ones of a few requests, mostly wrong ones of others."""
    most = rng.choice((1, 2, 3, 3, 5))
    limits = built.config | {"num_speculative_tokens": most}
    if rng.random() < 0.3:
        limits["num_lookahead_tokens"] = rng.randint(1, most + 1)
    if 0 < limits.get("long_prefill_token_threshold", 0) <= most:   # vLLM crashes: spec/surgery/test_speculative_decoding.py
        limits["long_prefill_token_threshold"] = min(most + 1, limits["max_model_len"])
    return replace(built, config=limits, requests=tuple(with_drafts(rng, spec, most) for spec in built.requests))


def with_drafts(rng: Random, spec: RequestSpec, most: int) -> RequestSpec:
    drafts = () if rng.random() < 0.4 else tuple(rng.choice((None, *range(most + 1))) for _ in range(rng.randint(1, 4)))
    wrong = rng.choice((0, 0.1, 0.3, 0.6))
    return replace(spec, drafts=drafts, misdrafts=tuple(number for number in range(2, 32) if rng.random() < wrong))


def random_limits(rng: Random) -> Workload:
    block_size = rng.choice((1, 2, 3, 4, 4, 4, 8, 16))
    capacity = rng.randint(6, 30)                                  # blocks beside the null block
    max_model_len = rng.randint(max(4, capacity * block_size // 2), capacity * block_size)
    if rng.random() < 0.03:
        max_model_len = capacity * block_size * 2                  # the bare scheduler allows it; it may stall
    limits = {"block_size": block_size, "max_model_len": max_model_len, "max_num_seqs": rng.randint(2, 10)}
    limits["max_num_batched_tokens"] = max(limits["max_num_seqs"], rng.choice((8, 16, 32, max_model_len, 4 * max_model_len)))
    if rng.random() < 0.15:
        limits |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(max_model_len, limits["max_num_seqs"])}
    if rng.random() < 0.25:
        limits["long_prefill_token_threshold"] = rng.randint(1, max(1, max_model_len // 3))
        limits["long_prefill_token_threshold_adaptive"] = rng.random() < 0.5
    if rng.random() < 0.1:
        limits["max_num_active_seqs"] = rng.randint(1, limits["max_num_seqs"])
    if rng.random() < 0.2:
        limits["watermark"] = round(rng.uniform(0.01, 0.4), 2)
    if rng.random() < 0.25:
        limits["scheduler_reserve_full_isl"] = False
    if rng.random() < 0.2:
        limits["enable_prefix_caching"] = False
    if rng.random() < 0.35:
        limits["policy"] = "priority"
        if limits.get("enable_chunked_prefill", True) and rng.random() < 0.4:   # tight: what a victim gives back is wanted
            limits["max_num_batched_tokens"] = limits["max_num_seqs"] + rng.randint(0, 4)
    return workload(num_blocks=capacity + 1, engine=max_model_len <= capacity * block_size and rng.random() < 0.2,
                    max_steps=400, **limits)


def random_windows(rng: Random, built: Workload) -> Workload:
    """The same limits with a window, mostly of a few blocks, and a pool to match: what one request needs and up to as much again."""
    limits, block_size = built.config, built.config["block_size"]
    longest = limits["max_model_len"] if rng.random() < 0.2 else 3 * block_size
    limits = limits | {"sliding_window": rng.randint(1, longest)}
    if rng.random() < 0.5:
        limits["kv_cache_groups"] = rng.choice(((FULL, WINDOW), (FULL, WINDOW), (WINDOW, FULL), (FULL, WINDOW, WINDOW), (FULL, FULL, WINDOW), (WINDOW, WINDOW)))
    if rng.random() < 0.3:
        limits["async_scheduling"] = True
    config = SchedulerConfig(**limits)
    needed = sum(config.max_blocks(kind) for kind in config.kinds)
    return built.with_config(**limits | {"num_blocks": 1 + needed + rng.randint(0, needed)})


def random_request(rng: Random, request_id: str, max_model_len: int, arrives: int) -> dict:
    """The arguments of `Workload.request`."""
    longest = max(1, min(max_model_len - 1, rng.choice((max_model_len // 4, max_model_len // 2, max_model_len))))
    request = {"request_id": request_id, "prompt": random_prompt(rng, request_id, rng.randint(1, longest)),
               "arrives": arrives, "max_tokens": rng.randint(1, min(rng.choice((8, 20)), max_model_len)), "priority": rng.randint(-1, 2)}
    if rng.random() < 0.05:
        request["max_tokens"] = None
    elif rng.random() < 0.1:
        request["min_tokens"] = rng.randint(0, request["max_tokens"])
    if rng.random() < 0.25:
        request["says"] = {rng.randint(1, 12): rng.choice((EOS, STOP_TOKEN))}
        request["ignore_eos"] = rng.random() < 0.2
        request["stop_token_ids"] = rng.choice(((), (STOP_TOKEN,), (STOP_TOKEN, EOS)))
    if rng.random() < 0.1:
        request["cache_salt"] = rng.choice(("salt", "pepper"))
    if rng.random() < 0.07:
        request["n"] = rng.randint(2, 3)
    if rng.random() < 0.06:
        request["prompt_logprobs"] = 1
    if rng.random() < 0.04:
        request["skip_reading_prefix_cache"] = rng.random() < 0.5
    if rng.random() < 0.1:
        request["arrival_time"] = float(rng.randint(0, 5))
    return request


def random_prompt(rng: Random, request_id: str, length: int) -> str:
    """Often a beginning that others have too, or all that an earlier request said."""
    own = f"{request_id}:{length}"
    kind = rng.random()
    if kind < 0.45:
        shared = rng.randint(1, length)
        return f"system{rng.randint(0, 1)}:{shared} {request_id}:{length - shared}" if shared < length else f"system0:{length}"
    if kind < 0.6 and request_id != "r0" and length > 2:
        earlier = f"r{rng.randint(0, int(request_id[1:]) - 1)}"
        said = length // 2
        return f"{earlier}:{length - said} {earlier}.out:{said}"
    return own


def bad_request(rng: Random, built: Workload) -> Workload:
    """One more request, which both engines have to refuse."""
    last = built.requests[-1]
    if not built.engine:    # the bare scheduler of vLLM refuses nothing but an id in use
        taken = f"0_{last.request_id}" if last.n > 1 else last.request_id
        return built.request(taken, 1, arrives=last.arrives)
    max_model_len = built.config["max_model_len"]
    if rng.random() < 0.3:
        return built.request("bad", 1, max_tokens=None, min_tokens=max_model_len, arrives=last.arrives)
    return built.request("bad", rng.choice((0, max_model_len, max_model_len + 9)), arrives=last.arrives)


def random_grammars(rng: Random, built: Workload) -> Workload:
    """Grammars for half of the requests, compiled soon or late; at most one that cannot be (of several, vLLM tells in the order of a set)."""
    fails = rng.choice(built.requests).request_id if rng.random() < 0.3 else None
    for index, spec in enumerate(built.requests):
        if rng.random() < 0.5 and spec.n == 1:
            spec = replace(spec, grammar=True, grammar_rejects=rng.randint(1, 9) if rng.random() < 0.1 else None)
            built = replace(built, requests=built.requests[:index] + (spec,) + built.requests[index + 1:])
            if spec.request_id != "bad":
                built = built.compiled(spec.request_id, at=spec.arrives + rng.choice((0, 0, 1, 3, 10)), error=spec.request_id == fails, between=rng.random() < 0.5)
    return built


def random_actions(rng: Random, built: Workload, num_requests: int, horizon: int) -> Workload:
    def moment() -> int:
        return rng.randint(0, horizon)

    if rng.random() < 0.4:
        for _ in range(rng.randint(1, 4)):
            request_id = f"r{rng.randrange(num_requests)}"
            spec = next(spec for spec in built.requests if spec.request_id == request_id)
            if spec.n > 1:
                request_id = f"{rng.randrange(spec.n)}_{request_id}"
            built = built.abort(request_id, at=spec.arrives + rng.randint(0, 12), between=rng.random() < 0.3)
        if rng.random() < 0.1:
            built = built.abort(rng.choice((None, "nobody")), at=moment())
    if rng.random() < 0.2:
        for _ in range(rng.randint(1, 2)):
            built = built.reset_prefix_cache(at=moment(), running=rng.random() < 0.6, between=rng.random() < 0.3)
    if rng.random() < 0.12:
        start = moment()
        built = built.pause(at=start, admission_only=rng.random() < 0.5)
        if rng.random() < 0.9:
            built = built.unpause(at=start + rng.randint(1, 8))
    return built
