"""Half precision: what is kept, and what is rounded. There a near-tie is not rare, and each one is proved."""
from spec.bench import claim, prompts
from spec.engine.many_prompts import CORPUS

RUN = "v1/worker/gpu_model_runner.py::GPUModelRunner.execute_model"


def in_dtype(dtype: str):
    some = prompts(dtype=dtype)
    for number, text in enumerate(CORPUS[:16]):
        some = some.ask(str(number), text, max_tokens=16, logprobs=5)
    return some


EXACT = in_dtype("float32")


def largest_error(exact, rounded) -> float:
    """How far logprobs move, as long as both say the same."""
    errors = [0.0]
    for name, output in exact.requests.items():
        for one, other, token_id, as_well in zip(output.outputs[0].logprobs, rounded.of(name).logprobs, exact.tokens(name), rounded.tokens(name)):
            errors += [abs(one[shared].logprob - other[shared].logprob) for shared in one.keys() & other.keys()]
            if token_id != as_well:
                break
    return max(errors)


def digits(run):
    return {entry.logprob for output in run.requests.values() for ranked in output.outputs[0].logprobs for entry in ranked.values()}


@claim("A model computed in bfloat16 moves its logprobs by tenths, and still has them in float32.", on=(EXACT, in_dtype("bfloat16")),
       about=("greedy", "logprobs"), vllm="v1/sample/sampler.py::Sampler.compute_logprobs")
def test_bfloat16(exact, rounded):
    assert 0.01 < largest_error(exact, rounded) < 0.6, f"{largest_error(exact, rounded)}"
    assert len(digits(rounded)) > 500, "with the 8 bits of a bfloat16 many would coincide"


@claim("A model computed in float16 moves its logprobs by hundredths, and still has them in float32.", on=(EXACT, in_dtype("float16")),
       about=("greedy", "logprobs"), vllm="v1/sample/sampler.py::Sampler.compute_logprobs")
def test_float16(exact, rounded):
    assert 0.001 < largest_error(exact, rounded) < 0.1, f"{largest_error(exact, rounded)}"
    assert len(digits(rounded)) > 500


@claim("Half precision changes what greedy decoding says.", on=(EXACT, in_dtype("bfloat16")), about="greedy", vllm=RUN)
def test_half_precision_is_another_model(exact, rounded):
    parted = [name for name in exact.requests if exact.tokens(name) != rounded.tokens(name)]
    assert parted, "all sixteen say the same"
    assert len(parted) < len(exact.requests), "and most of them the same"
