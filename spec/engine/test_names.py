"""One import swaps the engines: vLLM's names, defaults and refusals, of arguments, sampling parameters and outputs."""
import dataclasses
import inspect
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from impl.errors import InvalidSamplingParamsError
from impl.request_output import CompletionOutput, Logprob, RequestOutput
from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import needs_vllm, theirs


def test_the_package_gives_out_its_doors_and_imports_torch_for_none_but_them():
    code = ("import sys, impl; impl.SamplingParams, impl.Scheduler; assert 'torch' not in sys.modules and 'tokenizers' not in sys.modules; "
            "from impl import LLM, AsyncLLM; assert 'torch' in sys.modules and 'transformers' not in sys.modules; "
            "assert LLM.__module__ == 'impl.llm' and set(impl.__all__) <= {*dir(impl), 'LLM', 'AsyncLLM'}\n"
            "try: impl.nothing\nexcept AttributeError: print('ok')")
    if find_spec("torch") is None:
        pytest.skip("there is no torch here")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "ok\n", done.stderr


@needs_vllm
def test_sampling_parameters_have_vllms_names_and_defaults():
    from reference.vllm_surface import defaults
    theirs = defaults()
    ours_only = {"eos_token_id", "more_eos_token_ids", "bad_words_token_ids"}       # what vLLM keeps in private fields of the same object
    for spec in dataclasses.fields(SamplingParams):
        if spec.name not in ours_only:
            value = getattr(SamplingParams(), spec.name)
            assert spec.name in theirs and (value or None) == (theirs[spec.name] or None), spec.name


@needs_vllm
@pytest.mark.parametrize("method", ["__init__", "generate", "chat"])
def test_llm_takes_vllms_arguments(method):
    from impl.llm import LLM
    from reference.vllm_surface import arguments, engine_arguments
    mine = {name: parameter.default for name, parameter in inspect.signature(getattr(LLM, method)).parameters.items()}
    if method == "__init__":
        assert set(mine) - {"limits", "device", "kernels"} <= engine_arguments()
    else:
        assert set(mine) <= set(arguments(method))
        assert list(mine)[:3] == list(arguments(method))[:3] and all(mine[name] in (arguments(method)[name], 0) for name in mine)


@needs_vllm
@pytest.mark.parametrize("mine", [RequestOutput, CompletionOutput, Logprob], ids=lambda each: each.__name__)
def test_outputs_have_vllms_fields(mine):
    from reference.vllm_surface import output_fields
    names = [spec.name for spec in dataclasses.fields(mine)]
    assert names == [name for name in output_fields(mine.__name__) if name in names]


@needs_vllm
@pytest.mark.parametrize("params", [
    {"n": 0}, {"n": 1.5}, {"n": 20000}, {"n": 2, "temperature": 0}, {"max_tokens": 0}, {"min_tokens": -1}, {"min_tokens": 17}, {"temperature": -0.1},
    {"temperature": 2.1}, {"temperature": float("nan")}, {"temperature": float("inf")}, {"temperature": None}, {"temperature": "hot"}, {"top_k": -2},
    {"top_k": 1.5}, {"top_p": 0}, {"top_p": 1.1}, {"top_p": float("nan")}, {"min_p": -0.1}, {"min_p": 1.1}, {"presence_penalty": 2.1},
    {"frequency_penalty": -2.1}, {"repetition_penalty": 0.0}, {"repetition_penalty": float("inf")}, {"repetition_penalty": float("nan")},
    {"logprobs": -2}, {"prompt_logprobs": -2}, {"stop": [""]}, {"stop": ["a"], "detokenize": False}, {"bad_words": [""]}, {"stop_token_ids": ["a"]},
    {"stop_token_ids": 5},
], ids=str)
def test_what_vllm_refuses_is_refused_by_name(params):
    from reference.vllm_surface import sampling_params
    with pytest.raises(Exception):
        sampling_params(**params)
    with pytest.raises(InvalidSamplingParamsError, match=next(iter(params)).split("_")[0]):
        SamplingParams(**params)


@pytest.mark.parametrize("params", [{"max_tokens": 1.5}, {"seed": "x"}, {"stop": [3]}, {"stop": 3}, {"bad_words": "word"}, {"allowed_token_ids": ["x"]},
                                    {"logit_bias": {"5": 1.0}}, {"logit_bias": {5: "x"}}, {"logit_bias": [5]}], ids=str)
def test_a_value_of_the_wrong_type_is_refused_before_it_can_do_harm(params):
    with pytest.raises(InvalidSamplingParamsError, match=next(iter(params))):
        SamplingParams(**params)


@needs_vllm
@pytest.mark.parametrize("params", [
    {"stop": None}, {"stop": "end"}, {"stop": ["a", "b"]}, {"stop_token_ids": None}, {"stop_token_ids": [3, 1, 3]}, {"bad_words": ["x", "y", "x"]}, {"seed": -1},
    {"seed": 7}, {"temperature": 0.001}, {"temperature": 0.009}, {"temperature": 0, "top_p": 0.5, "top_k": 3, "min_p": 0.2}, {"top_k": -1},
    {"logprobs": True}, {"prompt_logprobs": True}, {"logit_bias": None}, {"logit_bias": {3: 500.0}}, {"allowed_token_ids": [4, 4]}, {"max_tokens": None},
    {"logprobs": -1}, {"n": 3}, {"min_tokens": 16}, {"detokenize": False},
], ids=str)
def test_what_vllm_takes_is_taken_and_put_right_alike(params):
    from reference.vllm_surface import sampling_params
    mine, real = SamplingParams(**params), sampling_params(**params)
    for name in ("n", "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop", "stop_token_ids", "bad_words", "logprobs", "prompt_logprobs",
                 "logit_bias", "allowed_token_ids", "detokenize"):
        value, expected = getattr(mine, name), getattr(real, name)
        assert (list(value) if isinstance(value, tuple) else value or None) == (expected if isinstance(expected, list) else expected or None), name


@needs_vllm
def test_what_comes_over_a_wire_is_put_right_alike():
    from reference.vllm_surface import sampling_params_from_optional
    params = {"n": None, "temperature": None, "top_p": None, "presence_penalty": None, "logit_bias": {"5": 300.0, 6: -300, "7": 1}}
    mine, real = SamplingParams.from_optional(**params), sampling_params_from_optional(**params)
    assert (mine.n, mine.temperature, mine.top_p, mine.presence_penalty, mine.logit_bias) == (
        real.n, real.temperature, real.top_p, real.presence_penalty, real.logit_bias)
    with pytest.raises(InvalidSamplingParamsError, match="logit_bias"):
        SamplingParams.from_optional(logit_bias={"five": 1.0})
