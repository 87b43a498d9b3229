"""How long do those who decode wait while a long prompt comes in, and what does it pay for their comfort?

Eight requests decode when prompts of 2,048 tokens arrive. Time is counted in tokens computed in between: it is exact,
and the same on every machine. The wait of a decoding request is what all requests compute between two of its tokens.
"""
from reference.experiments.both import runs
from reference.experiments.record import Record, arguments, engines_here, progress
from reference.trace import Run
from reference.workload import Workload, workload

DECODING, PROMPT, ARRIVES = 8, 2048, 10
BUDGETS = [16, 32, 64, 128, 256, 512, 1024, 2056, 4104]
WHOLE = 1 << 14     # a budget that no step here can use up
THRESHOLDS = [16, 32, 64, 128, 256, 512, 1024, 2048]


def interrupted(num_prompts: int = 1, prompt: int = PROMPT, decodes: int = 1200, **limits) -> Workload:
    """`DECODING` requests that decode so many tokens, and prompts that arrive while they do."""
    asked = workload(num_blocks=4096, block_size=16, max_model_len=4096, max_num_seqs=16, max_steps=20_000,
                     **({"max_num_batched_tokens": WHOLE} | limits))
    for number in range(DECODING):
        asked = asked.request(f"d{number}", prompt=4, max_tokens=decodes, ignore_eos=True)
    for number in range(num_prompts):
        asked = asked.request(f"long{number}", prompt=prompt, max_tokens=1, arrives=ARRIVES)
    return asked


def waits(run: Run, request_id: str = "d0") -> list[int]:
    """Tokens computed by all between two tokens of a request, from the arrival of the prompts to the first token of the last."""
    until = max(first_token(run, spec.request_id) for spec in run.workload.requests if spec.arrives)
    return [step.num_tokens for step in run.steps[ARRIVES:until + 1] if step.of(request_id)]


def first_token(run: Run, request_id: str) -> int:
    """The step that gave a request its first token."""
    return next(step.index for step in run.steps if any(done.request_id == request_id and done.new_token_ids for done in step.outputs))


def measured(run: Run) -> dict[str, int]:
    """What those who decode waited, and what the prompts waited."""
    arrived = [spec.request_id for spec in run.workload.requests if spec.arrives]
    last = max(first_token(run, request_id) for request_id in arrived)
    return {"longest wait": max(waits(run)), "steps to the first token": first_token(run, arrived[0]) - ARRIVES + 1,
            "steps to the last one's": last - ARRIVES + 1, "tokens until then": sum(step.num_tokens for step in run.steps[ARRIVES:last + 1])}


def by_budget(budget: int, num_prompts: int) -> dict[str, int]:
    """What to expect under a budget: those who decode came first and are served first, the prompts get the rest, one after the other."""
    rest = budget - DECODING
    steps = -(-num_prompts * PROMPT // rest)
    return {"longest wait": DECODING + min(rest, num_prompts * PROMPT), "steps to the first token": -(-PROMPT // rest),
            "steps to the last one's": steps, "tokens until then": num_prompts * PROMPT + DECODING * steps}


def by_threshold(threshold: int, num_prompts: int) -> dict[str, int]:
    """What to expect under a cap on each prompt's share of a step, with a budget that is never used up: all advance together."""
    steps = -(-PROMPT // threshold)
    return {"longest wait": DECODING + num_prompts * threshold, "steps to the first token": steps, "steps to the last one's": steps,
            "tokens until then": num_prompts * PROMPT + DECODING * steps}


def main() -> None:
    out = arguments("chunked_prefill_latency", __doc__.splitlines()[0]).parse_args().out
    record, engines = Record("chunked_prefill_latency", __doc__.splitlines()[0]), engines_here()
    for num_prompts, named in ((1, "one prompt"), (4, "four prompts")):
        tell(record, f"the budget, {named}", "max_num_batched_tokens", engines, [
            (budget, interrupted(num_prompts, max_num_batched_tokens=budget), by_budget(budget, num_prompts)) for budget in BUDGETS])
        tell(record, f"the threshold, {named}", "long_prefill_token_threshold", engines, [
            (threshold, interrupted(num_prompts, long_prefill_token_threshold=threshold), by_threshold(threshold, num_prompts))
            for threshold in THRESHOLDS])
    record.write(out)


def tell(record: Record, title: str, knob: str, engines: list[str], asked: list[tuple[int, Workload, dict]]) -> None:
    """One table and one plot over the places of a knob: expected, and seen in each engine."""
    seen = {engine: [] for engine in engines}
    for place, requests, _ in asked:
        progress(f"{title}, {place}")
        for engine, run in runs(requests, engines).items():
            seen[engine].append(measured(run))
    places, last = [place for place, *_ in asked], engines[-1]
    record.table(f"Against {title}", [knob, *seen[last][0], "as expected", "the engines agree"], [
        [place, *told.values(), _differences(expected, told), "yes" if all(seen[each][at] == told for each in engines) else "NO"]
        for at, (place, told, (_, _, expected)) in enumerate(zip(places, seen[last], asked))])
    record.plot(f"Against {title}", f"{knob} [tokens]", "tokens", places, [
        {"label": label, "engine": engine, "values": [told[name] for told in seen[engine]]}
        for label, name in (("longest wait of a decode", "longest wait"), ("tokens until the last first token", "tokens until then")) for engine in engines], log=True)


def _differences(expected: dict[str, int], told: dict[str, int]) -> str:
    """"yes", or what was expected instead."""
    return ", ".join(f"{name}: {value}" for name, value in expected.items() if told[name] != value) or "yes"


if __name__ == "__main__":
    main()
