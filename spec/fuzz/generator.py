"""Random workloads: crowded, with shared prefixes, and with everything that can go on."""
from dataclasses import replace
from random import Random

from reference.workload import EOS, RequestSpec, Workload, workload

STOP_TOKEN = 7


def random_workload(rng: Random) -> Workload:
    """A workload in which something happens: about a dozen requests, a pool they do not all fit into."""
    built = random_limits(rng)
    max_model_len = built.config["max_model_len"]
    num_requests, spread = rng.randint(8, 14), rng.choice((0, 5, 20, 30))
    for number in range(num_requests):
        built = built.request(**random_request(rng, f"r{number}", max_model_len, rng.randint(0, spread)))
    if rng.random() < 0.1:
        built = bad_request(rng, built)
    return random_actions(rng, built, num_requests, spread + 20)


def random_speculative_workload(rng: Random) -> Workload:
    """The same, with drafts: mostly right ones from a few requests, mostly wrong ones from others."""
    built = random_workload(rng)
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
