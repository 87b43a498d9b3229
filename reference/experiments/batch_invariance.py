"""Do the batch mates of a request change its logprobs, or even its tokens?

Sixteen prompts, greedily, at most 1, 2, 4, 8 or 16 at a time: alone is the first. The sums behind a logprob are the same ones,
taken in another order or by another kernel, so nothing but rounding can move them. Compared is what lies before the first
token that differs: after it the texts are no longer the same.
"""
import lzma
from functools import partial
from pathlib import Path

import impl
import reference.checkpoint
from reference.experiments.record import Record, arguments, engines_here, progress
from reference.generate import Generation, OurGenerator, generate
from reference.prompts import MODELS, Prompts, prompts
from reference.trace import FINISHED

AT_A_TIME = [1, 2, 4, 8, 16]
DTYPES = ("float32", "bfloat16")
NUM_PROMPTS, MAX_TOKENS, EVERY = 16, 64, 30_011      # characters of the corpus from one beginning to the next


def asked(model: str, dtype: str, at_a_time: int) -> Prompts:
    """The prompts: beginnings of 40 to 190 characters out of the corpus."""
    corpus = lzma.decompress((Path(reference.checkpoint.__file__).parent / "corpus.txt.xz").read_bytes()).decode()
    some = prompts(model, dtype=dtype, max_num_seqs=at_a_time, enable_prefix_caching=False)
    for number in range(NUM_PROMPTS):
        start = (number + 1) * EVERY % (len(corpus) - 200)
        some = some.ask(str(number), corpus[start:start + 40 + 10 * number], max_tokens=MAX_TOKENS, logprobs=2, ignore_eos=True)
    return some


def said(some: Prompts, engine: str) -> Generation:
    """What an engine makes of the prompts. Raises `RuntimeError` if it does not come to its end."""
    if engine == "impl":
        run = generate(some, partial(OurGenerator, impl), "impl")
    else:
        from reference.vllm_llm import vllm_generation      # sets the environment of the process up for a whole engine
        run = vllm_generation(some)
    if run.ended != FINISHED:
        raise RuntimeError(f"{engine} {run.ended}: {run.error}")
    return run


def difference(alone: Generation, together: Generation) -> dict[str, float]:
    """How far the logprobs of the tokens moved, and how many requests say something else, from which token on at the earliest."""
    largest, changed, earliest = 0.0, 0, None
    for request_id in alone.requests:
        one, other = alone.of(request_id), together.of(request_id)
        for position, (mine, yours) in enumerate(zip(one.token_ids, other.token_ids)):
            shared = one.logprobs[position].keys() & other.logprobs[position].keys()
            largest = max([largest, *(abs(one.logprobs[position][token].logprob - other.logprobs[position][token].logprob) for token in shared)])
            if mine != yours:
                changed, earliest = changed + 1, min(position, MAX_TOKENS if earliest is None else earliest)
                break
    return {"requests in a step": max(len(step.scheduled) for step in together.steps), "largest difference": largest, "requests changed": changed, "earliest token": earliest}


def main() -> None:
    out = arguments("batch_invariance", __doc__.splitlines()[0]).parse_args().out
    record, engines = Record("batch_invariance", __doc__.splitlines()[0]), engines_here()
    for dtype in DTYPES:
        found: dict[tuple, list[dict]] = {}
        for model in MODELS:
            for engine in engines:
                runs = []
                for at_a_time in [*AT_A_TIME, 1]:
                    progress(f"{dtype}: {engine} runs {model}, {at_a_time} at a time")
                    runs.append(said(asked(model, dtype, at_a_time), engine))
                found[model, engine] = [difference(runs[0], run) for run in runs[1:]]
        record.table(f"{dtype}, against the same request alone", ["model, engine, at a time", *found["llama", "impl"][0]], [
            [f"{model}, {engine}, {'1 once more' if at_a_time == 1 else at_a_time}", *told.values()]
            for (model, engine), all_told in found.items() for at_a_time, told in zip([*AT_A_TIME[1:], 1], all_told)])
        record.plot(f"{dtype}: how far logprobs move", "requests at a time", "largest difference of a logprob", AT_A_TIME[1:], [
            {"label": model, "engine": engine, "values": [told["largest difference"] for told in all_told[:-1]]}
            for (model, engine), all_told in found.items()], log=True)
    record.write(out)


if __name__ == "__main__":
    main()
