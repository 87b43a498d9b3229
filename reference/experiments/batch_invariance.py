"""Do the batch mates of a request change its logprobs, or even its tokens?

Sixteen prompts, greedily, 1, 2, 4, 8 or 16 at a time: alone is the first, and the next come when those have ended. The sums
behind a logprob are the same ones, taken in another order or by another kernel, so nothing but rounding can move them. Compared
is what lies before the first token that differs: after it the texts are no longer the same. The same command works on a GPU.
"""
import functools
import lzma
from itertools import product
from pathlib import Path

import impl
import reference.checkpoint
from reference.experiments.record import Record, arguments, engines_here, progress
from reference.generate import Generation, OurGenerator, generate
from reference.prompts import MODELS, Prompts, prompts
from reference.trace import FINISHED
from reference.vllm_llm import vllm_generation      # sets the environment of the process up, for our engine too
from reference.vllm_scheduler import installed_device

AT_A_TIME = [1, 2, 4, 8, 16]
DTYPES = ("float32", "bfloat16")
NUM_PROMPTS, MAX_TOKENS, EVERY = 16, 32, 30_011      # characters of the corpus from one beginning to the next
ONCE_MORE = 4               # prompts that are asked alone a second time
APART = MAX_TOKENS + 8      # steps from one group of prompts to the next: the prompts of sixteen take four
COLUMNS = ("requests in a step", "largest difference", "requests changed", "earliest token")


@functools.cache
def corpus() -> str:
    return lzma.decompress((Path(reference.checkpoint.__file__).parent / "corpus.txt.xz").read_bytes()).decode()


def asked(model: str | None, dtype: str, at_a_time: int, num_prompts: int = NUM_PROMPTS) -> Prompts:
    """The prompts: beginnings of 40 to 190 characters out of the corpus. The limits are the same however many come at a time: so is the engine."""
    some = prompts(model, dtype=dtype, max_num_seqs=NUM_PROMPTS, enable_prefix_caching=False)
    for number in range(num_prompts):
        start = (number + 1) * EVERY % (len(corpus()) - 200)
        some = some.ask(str(number), corpus()[start:start + 40 + 10 * number], arrives=number // at_a_time * APART,
                        max_tokens=MAX_TOKENS, logprobs=2, ignore_eos=True)
    return some


def said(some: Prompts, engine: str) -> Generation:
    """What an engine makes of the prompts. Raises `RuntimeError` if it does not come to its end."""
    if engine == "impl":
        run = generate(some, functools.partial(OurGenerator, impl, device=installed_device()), "impl")
    else:
        run = vllm_generation(some)
    if run.ended != FINISHED:
        raise RuntimeError(f"{engine} {run.ended}: {run.error}")
    return run


def difference(alone: Generation, together: Generation) -> list:
    """`COLUMNS`: how far the logprobs of the tokens moved, and how many requests say something else, from which token on at the earliest."""
    largest, changed, earliest = 0.0, 0, None
    for request_id in together.requests:    # some alone once more: they are not all
        one, other = alone.of(request_id), together.of(request_id)
        for position, (mine, yours) in enumerate(zip(one.token_ids, other.token_ids)):
            shared = one.logprobs[position].keys() & other.logprobs[position].keys()
            largest = max([largest, *(abs(one.logprobs[position][token].logprob - other.logprobs[position][token].logprob) for token in shared)])
            if mine != yours:
                changed, earliest = changed + 1, min(position, MAX_TOKENS if earliest is None else earliest)
                break
    return [max(len(step.scheduled) for step in together.steps), largest, changed, earliest]


def measured(model: str, dtype: str, engine: str) -> list[list]:
    """`COLUMNS` for each of `AT_A_TIME` after the first, and for some alone once more."""
    runs = []
    for some in [*(asked(model, dtype, at_a_time) for at_a_time in AT_A_TIME), asked(model, dtype, 1, ONCE_MORE)]:
        progress(f"{dtype}: {engine} runs {model}, {len(runs) + 1} of {len(AT_A_TIME) + 1}")
        runs.append(said(some, engine))
    return [difference(runs[0], run) for run in runs[1:]]


def main() -> None:
    out = arguments("batch_invariance", __doc__.splitlines()[0]).parse_args().out
    record, engines = Record("batch_invariance", __doc__.splitlines()[0], installed_device()), engines_here()
    for dtype in DTYPES:
        found: dict[tuple, list[list]] = {}
        for model, engine in product(MODELS, engines):
            with record.part(f"{dtype}, {model}, {engine}"):
                found[model, engine] = measured(model, dtype, engine)
        record.table(f"{dtype}, against the same request alone", ["model, engine, at a time", *COLUMNS], [
            [f"{model}, {engine}, {at_a_time}", *told]
            for (model, engine), all_told in found.items() for at_a_time, told in zip([*AT_A_TIME[1:], f"{ONCE_MORE} alone once more"], all_told)])
        record.plot(f"{dtype}: how far logprobs move", "requests at a time", "largest difference of a logprob", AT_A_TIME[1:], [
            {"label": model, "engine": engine, "values": [largest for _, largest, *_ in all_told[:-1]]}
            for (model, engine), all_told in found.items()], log=True)
        record.write(out)       # what is there is there, should the next type take too long


if __name__ == "__main__":
    main()
