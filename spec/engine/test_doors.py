"""The doors: `from impl import LLM, SamplingParams` in the place of vLLM's. Names, defaults, refusals, and what is handed out."""
import dataclasses
import inspect
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from impl.errors import DuplicateRequestError, InferLabError, InvalidSamplingParamsError
from impl.request_output import CompletionOutput, Logprob, RequestOutput
from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import LIMITS, NOISE, TEXTS, folder, needs_vllm, our_llm, ours, theirs, token_prompts

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="there is no torch here to run a model with; 'make spec' installs it")
GREEDY = SamplingParams(temperature=0, max_tokens=12)


def told(outputs):
    return [(done.index, done.token_ids, done.text, done.finish_reason, done.stop_reason) for output in outputs for done in output.outputs]


def state(llm):
    """All that a refused request could have changed."""
    scheduler = llm.engine.scheduler
    return (list(scheduler.requests), len(scheduler.waiting), len(scheduler.running), list(scheduler.block_manager.free_blocks),
            sorted(llm.engine.output_processor.children), sorted(llm.engine.output_processor.families), scheduler.finished_req_ids)


# Names and defaults

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
        assert set(mine) - {"limits", "device"} <= engine_arguments()
    else:
        assert set(mine) <= set(arguments(method))
        assert list(mine)[:3] == list(arguments(method))[:3] and all(mine[name] in (arguments(method)[name], 0) for name in mine)


@needs_vllm
@pytest.mark.parametrize("mine", [RequestOutput, CompletionOutput, Logprob], ids=lambda each: each.__name__)
def test_outputs_have_vllms_fields(mine):
    from reference.vllm_surface import output_fields
    names = [spec.name for spec in dataclasses.fields(mine)]
    assert names == [name for name in output_fields(mine.__name__) if name in names]


# Sampling parameters

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


# The engine's door

@needs_vllm
@pytest.mark.parametrize("prompt, params, error", [
    ([5, 1024], {}, "UnknownTokenError"), ([-1], {}, "UnknownTokenError"), ([], {}, "EmptyPromptError"), ("", {}, "EmptyPromptError"),
    ([5] * 512, {}, "PromptTooLongError"), ([5], {"logit_bias": {1024: 1.0}}, "UnknownTokenError"), ([5], {"allowed_token_ids": [7, -1]}, "UnknownTokenError"),
    ([5], {"stop_token_ids": [1024]}, "UnknownTokenError"), ([5], {"allowed_token_ids": []}, "InvalidSamplingParamsError"),
    ([5], {"logprobs": 21}, "InvalidSamplingParamsError"), ([5], {"logprobs": -1}, "InvalidSamplingParamsError"),
    ([5], {"prompt_logprobs": 21}, "InvalidSamplingParamsError"), ([5] * 500, {"max_tokens": None, "min_tokens": 13}, "InvalidSamplingParamsError"),
    ([5], {"logprobs": 21, "n": 3}, "InvalidSamplingParamsError"),
], ids=lambda value: str(value)[:40])
def test_what_vllms_engine_refuses_is_refused_and_leaves_no_trace(prompt, params, error):
    from reference.vllm_surface import sampling_params
    from reference.vllm_llm import vllm_llm
    llm = our_llm("qwen3")
    real_prompt = prompt if isinstance(prompt, str) else {"prompt_token_ids": prompt}
    with pytest.raises(Exception):
        vllm_llm(folder("qwen3"), **LIMITS).llm.generate([real_prompt], sampling_params(**params), use_tqdm=False)
    before = state(llm)
    with pytest.raises(InferLabError) as raised:
        llm.engine.add_request("refused", prompt, SamplingParams(**params))
    assert type(raised.value).__name__ == error and "refused" in str(raised.value)
    assert state(llm) == before


@needs_torch
def test_a_family_is_taken_or_refused_as_one():
    engine = our_llm("qwen3").engine
    sampling = SamplingParams(n=3, max_tokens=4)
    engine.add_request("1_family", [5, 6], GREEDY)
    before = state(our_llm("qwen3"))
    with pytest.raises(DuplicateRequestError, match="1_family"):
        engine.add_request("family", [5, 6], sampling)
    assert state(our_llm("qwen3")) == before
    engine.abort("1_family")
    engine.add_request("family", [5, 6], sampling)
    with pytest.raises(DuplicateRequestError, match="'family'"):
        engine.add_request("family", [5, 6], GREEDY)
    engine.step()
    assert [output.outputs[0].finish_reason for output in engine.abort("family")] == ["abort"] * 3 and not engine.has_unfinished_requests()
    assert engine.abort("family") == engine.abort("never came") == []


@needs_torch
def test_a_bad_prompt_among_good_ones_leaves_none_behind():
    llm = our_llm("qwen3")
    before = state(llm)[:6]
    for bad, error in (([5000], "UnknownTokenError"), (3.5, "InvalidPromptError"), ({"text": "x"}, "InvalidPromptError"), ([5] * 600, "PromptTooLongError")):
        with pytest.raises(InferLabError) as raised:
            llm.generate(["good", "good, too", bad, "never seen"], GREEDY)
        assert type(raised.value).__name__ == error and state(llm)[:6] == before
    with pytest.raises(InvalidSamplingParamsError, match="2 prompts, but 3"):
        llm.generate(["a", "b"], [GREEDY] * 3)


@needs_torch
@pytest.mark.parametrize("arguments, advice", [
    ({"max_model_len": 1025}, "knows 1024 positions"), ({"max_model_len": 512, "num_gpu_blocks_override": 3}, "raise num_blocks"), ({"dtype": "int3"}, "float32, bfloat16"),
    ({"logprobs_mode": "cooked"}, "raw_logprobs"), ({"max_logprobs": -2}, "max_logprobs"), ({"num_blocks": 30}, "num_blocks"), ({"max_seqs": 3}, "max_num_seqs"),
], ids=str)
def test_an_engine_that_cannot_be_is_not_built(arguments, advice):
    from impl.llm import LLM
    with pytest.raises(InferLabError, match=advice):
        LLM(folder("qwen3"), **arguments)


@needs_torch
def test_defaults_of_an_engine_come_from_the_checkpoint():
    from impl.llm import LLM
    import torch
    llm = LLM(folder("qwen3"), max_num_seqs=2)
    config = llm.engine.scheduler.config
    assert (config.max_model_len, config.num_blocks) == (1024, 1 + 2 * 64), "two sequences of all the positions it knows"
    assert next(llm.engine.model_runner.model.parameters()).dtype is torch.float32
    small = LLM(folder("qwen3"), max_num_seqs=2, kv_cache_memory_bytes=10 * 16 * 2048).engine.scheduler.config
    assert (small.max_model_len, small.num_blocks) == (160, 11), "2,048 bytes a token: what fits"
    wanted = LLM(folder("qwen3"), max_num_seqs=2, kv_cache_memory_bytes=10 * 16 * 2048, max_model_len=320).engine.scheduler.config
    assert wanted.num_blocks == 21, "one sequence at least"


@needs_vllm
def test_the_same_program_says_the_same_again():
    """As vLLM's, whose engine has a seed too; which tokens an engine's chance brings is its own affair."""
    from impl.llm import LLM
    asked = SamplingParams(max_tokens=12)
    said = [told(LLM(folder("qwen3"), seed=seed, **LIMITS).generate(TEXTS, asked)) for seed in (0, 0, 1)]
    assert said[0] == said[1] != said[2]


# What is handed out

@needs_vllm
def test_prompts_come_in_every_form_that_vllm_takes():
    from reference.vllm_llm import vllm_llm
    real = vllm_llm(folder("qwen3"), **LIMITS)
    for prompts in ("The king", ["The king", "said"], [5, 6, 7], [[5, 6, 7], [8, 9]], {"prompt_token_ids": [5, 6]}, {"prompt": "The king"},
                    [{"prompt": "The king", "prompt_token_ids": [5, 6]}, "x"]):
        from reference.vllm_surface import sampling_params
        expected = real.llm.generate(prompts, sampling_params(temperature=0, max_tokens=4), use_tqdm=False)
        outputs = our_llm("qwen3").generate(prompts, SamplingParams(temperature=0, max_tokens=4), use_tqdm=False)
        assert [(each.prompt, list(each.prompt_token_ids), each.outputs[0].text) for each in outputs] == [
            (each.prompt, list(each.prompt_token_ids), each.outputs[0].text) for each in expected], prompts


@needs_vllm
@pytest.mark.parametrize("params", [{"temperature": 1.0}, {"temperature": 0.7, "top_k": 20, "top_p": 0.9}, {"temperature": 1.3, "min_p": 0.05, "repetition_penalty": 1.2},
                                    {"n": 3, "temperature": 0.9}, {"temperature": 1.0, "logit_bias": {20: 3.0}, "presence_penalty": 1.0, "min_tokens": 9}], ids=str)
@pytest.mark.parametrize("model", ["qwen3", "llama"])
def test_a_seed_gives_vllms_very_tokens(model, params):
    asked = [SamplingParams(seed=seed, max_tokens=20, **params) for seed in range(len(TEXTS))]
    outputs, expected = ours(model, TEXTS, asked), theirs(model, TEXTS, asked)
    assert told(outputs) == told(expected)
    assert len({tuple(done.token_ids) for done in outputs[0].outputs}) == params.get("n", 1)


@needs_vllm
@pytest.mark.parametrize("mode", ["raw_logprobs", "raw_logits", "processed_logprobs", "processed_logits"])
def test_logprobs_mode(mode):
    prompts = TEXTS[:4]
    asked = [SamplingParams(max_tokens=6, logprobs=4, prompt_logprobs=2, seed=3, repetition_penalty=1.5, temperature=temperature) for temperature in (0, 0.5, 0, 1.5)]
    from reference.vllm_llm import vllm_llm
    expected = vllm_llm(folder("qwen3"), logprobs_mode=mode, **LIMITS).generate(prompts, asked)
    outputs = ours("qwen3", prompts, asked, logprobs_mode=mode)
    assert told(outputs) == told(expected)
    for mine, real in zip(outputs, expected):
        assert mine.outputs[0].cumulative_logprob == pytest.approx(real.outputs[0].cumulative_logprob, abs=NOISE * 40, rel=NOISE)
        for ranked, real_ranked in zip(mine.outputs[0].logprobs + mine.prompt_logprobs[1:], real.outputs[0].logprobs + real.prompt_logprobs[1:], strict=True):
            assert {token_id: entry.logprob for token_id, entry in ranked.items()} == pytest.approx(
                {token_id: entry.logprob for token_id, entry in real_ranked.items()}, abs=NOISE * 4)


@needs_vllm
def test_bad_words_from_text():
    free = ours("llama", TEXTS, SamplingParams(temperature=0, max_tokens=30))
    words = [word for output in free for word in output.outputs[0].text.split()[1:4]][:20] + ["the", " and", "the king"]
    asked = SamplingParams(temperature=0, max_tokens=30, bad_words=words)
    outputs = ours("llama", TEXTS, asked)
    assert told(outputs) == told(theirs("llama", TEXTS, asked)) and told(outputs) != told(free)


@needs_vllm
def test_texts_of_special_tokens_and_without_detokenization():
    """The model is made to say special tokens and bytes that are no characters."""
    said = {0: 30.0, 1: 30.0, 2: 30.0, 3: 30.0}
    for params in ({"skip_special_tokens": False}, {"skip_special_tokens": False, "spaces_between_special_tokens": False}, {"skip_special_tokens": True},
                   {"detokenize": False, "logprobs": 2}, {"skip_special_tokens": False, "include_stop_str_in_output": True, "stop_token_ids": (3,), "min_tokens": 4}):
        asked = [SamplingParams(seed=seed, max_tokens=24, ignore_eos=True, logit_bias=bias, temperature=2.0, **params)
                 for seed, bias in enumerate((said, said, {}, {}, {}))]
        outputs, expected = ours("qwen3", TEXTS[:5], asked), theirs("qwen3", TEXTS[:5], asked)
        assert told(outputs) == told(expected)
        if "logprobs" in params:
            assert outputs[0].outputs[0].logprobs[0] and all(entry.decoded_token is None for entry in outputs[0].outputs[0].logprobs[0].values())


@needs_vllm
def test_half_characters_are_never_shown_and_tokens_of_them_have_vllms_texts():
    """Bytes above 127, three of four tokens: no character ever ends properly, or in the token that ends it."""
    tokenizer = our_llm("qwen3").engine.tokenizer
    halves = [token_id for token_id in range(1024) if tokenizer.decode([token_id], skip_special_tokens=False).endswith("\N{REPLACEMENT CHARACTER}")]
    assert len(halves) > 50
    asked = [SamplingParams(seed=seed, max_tokens=40, temperature=2.0, logprobs=3, allowed_token_ids=(*halves, 20, 21, 22, 23)) for seed in range(8)]
    prompts = ["日本語 and 🙂"] * 8
    outputs, expected = ours("qwen3", prompts, asked), theirs("qwen3", prompts, asked)
    assert told(outputs) == told(expected)
    for mine, real in zip(outputs, expected):
        assert [[entry.decoded_token for entry in ranked.values()] for ranked in mine.outputs[0].logprobs] == [
            [entry.decoded_token for entry in ranked.values()] for ranked in real.outputs[0].logprobs]


@needs_vllm
@pytest.mark.parametrize("include", [False, True])
def test_stop_strings_across_tokens(include):
    free = theirs("llama", TEXTS, SamplingParams(temperature=0, max_tokens=40))
    texts = [output.outputs[0].text for output in free]
    asked = [SamplingParams(temperature=0, max_tokens=40, stop=[text[10:14], text[9:12], "never said"], include_stop_str_in_output=include, min_tokens=index % 7)
             for index, text in enumerate(texts)]
    outputs, expected = ours("llama", TEXTS, asked), theirs("llama", TEXTS, asked)
    assert told(outputs) == told(expected)
    assert [output.outputs[0].stop_reason for output in outputs].count(None) < len(TEXTS) // 2


@needs_vllm
def test_a_stream_shows_nothing_that_it_takes_back_and_ends_with_vllms_text():
    engine, text = our_llm("llama").engine, "The king said"
    whole = theirs("llama", [text], SamplingParams(temperature=0, max_tokens=30))[0].outputs[0].text
    stop = next(whole[start:start + 5] for start in range(20, len(whole)) if whole.index(whole[start:start + 5]) == start)
    asked = SamplingParams(temperature=0, max_tokens=30, stop=stop)
    engine.add_request("stream", text, asked)
    shown = []
    while engine.has_unfinished_requests():
        shown += [output.outputs[0].text for output in engine.step()]
    assert all(later.startswith(earlier) and stop not in later for earlier, later in zip(shown, shown[1:])) and len(set(shown)) > 3
    assert shown[-1] == theirs("llama", [text], asked)[0].outputs[0].text == whole[:whole.index(stop)]


@needs_vllm
def test_children_of_a_family_are_streamed_one_by_one_as_by_vllm():
    from reference.vllm_llm import vllm_llm
    from reference.vllm_surface import sampling_params
    mine, real = our_llm("qwen3").engine, vllm_llm(folder("qwen3"), **LIMITS).llm.llm_engine
    params = {"n": 3, "seed": 5, "max_tokens": 6, "temperature": 1.0}
    mine.add_request("family", "The king", SamplingParams(**params))
    real.add_request("family", "The king", sampling_params(**params))
    seen = ([], [])
    for engine, told in zip((mine, real), seen):
        while engine.has_unfinished_requests():
            told += [(output.request_id, output.finished, [(each.index, each.text, list(each.token_ids), each.finish_reason) for each in output.outputs])
                     for output in engine.step()]
    # vLLM hands out the list of tokens itself, which grows under the reader's hands: compare what was last said, and who spoke when.
    assert [(request_id, finished, [(index, text, reason) for index, text, _, reason in outputs]) for request_id, finished, outputs in seen[0]] == [
        (request_id, finished, [(index, text, reason) for index, text, _, reason in outputs]) for request_id, finished, outputs in seen[1]]
    assert seen[0][-1] == seen[1][-1]


@needs_vllm
def test_cached_prompt_tokens_are_counted_alike():
    prompt = [{"prompt_token_ids": token_prompts("qwen3")[-1]["prompt_token_ids"] + [7, 7]}]
    counts = [[generate("qwen3", prompt, GREEDY)[0].num_cached_tokens for _ in range(2)] for generate in (ours, theirs)]
    assert counts[0][1] == counts[1][1] == 64 and counts[0][0] in (0, 64)


@needs_vllm
def test_chat_goes_through_the_checkpoints_template():
    from reference.vllm_llm import vllm_llm
    from reference.vllm_surface import sampling_params
    messages = [{"role": "user", "content": "Who is there?"}, {"role": "assistant", "content": "The king."}, {"role": "user", "content": "Why?"}]
    real = vllm_llm(folder("qwen3"), **LIMITS).llm
    for asked in (messages, [messages[:1], messages]):
        expected = real.chat(asked, sampling_params(temperature=0, max_tokens=5), use_tqdm=False)
        outputs = our_llm("qwen3").chat(asked, SamplingParams(temperature=0, max_tokens=5))
        assert [(each.prompt, list(each.prompt_token_ids), each.outputs[0].text) for each in outputs] == [
            (each.prompt, list(each.prompt_token_ids), each.outputs[0].text) for each in expected]


@needs_vllm
def test_a_checkpoint_without_a_template_does_not_chat(tmp_path):
    from impl.chat import ChatTemplateError, render
    for path in Path(folder("qwen3")).glob("*.json"):
        config = json.loads(path.read_text())
        config.pop("chat_template", None)
        (tmp_path / path.name).write_text(json.dumps(config))
    with pytest.raises(ChatTemplateError, match="no chat template"):
        render(tmp_path, [{"role": "user", "content": "Hello"}])
    with pytest.raises(ChatTemplateError, match="does not take these messages"):
        render(Path(folder("qwen3")), [{"role": "user", "content": "x"}], chat_template="{{ raise_exception('no') }}")


# What the model gets wrong

@needs_torch
@pytest.mark.parametrize("wrong", [float("nan"), float("-inf"), float("inf")])
def test_logits_that_are_no_numbers_end_their_request_and_no_other(wrong):
    import torch
    llm = our_llm("qwen3")
    sampler = llm.engine.model_runner.sampler
    expected = told(llm.generate(["one", "two", "three"], SamplingParams(temperature=1.0, seed=2, max_tokens=8)))

    class Breaking(type(sampler)):
        def __call__(self, logits, requests):
            logits = logits.clone()
            for row, request in zip(logits, requests):
                if request.request_id == "broken" and request.num_output_tokens == 3:
                    row[:] = torch.where(torch.arange(len(row)) % 2 == 0, wrong, row) if wrong != float("-inf") else wrong
            return super().__call__(logits, requests)

    sampler.__class__ = Breaking
    try:
        for params in (GREEDY, SamplingParams(seed=1, max_tokens=12), SamplingParams(temperature=0.5, max_tokens=12, logprobs=2)):
            llm.engine.add_request("broken", "one", params)
            assert told(llm.generate(["one", "two", "three"], SamplingParams(temperature=1.0, seed=2, max_tokens=8))) == expected
            llm.engine.add_request("broken", "one", params)
            last = [output for _ in range(6) for output in llm.engine.step()][-1]
            assert last.finished and last.outputs[0].finish_reason == "error" and "NonFiniteLogitsError" in last.outputs[0].stop_reason
            assert len(last.outputs[0].token_ids) == 3 and not llm.engine.has_unfinished_requests()
    finally:
        sampler.__class__ = Breaking.__base__
    manager = llm.engine.scheduler.block_manager
    assert len(manager.free_blocks) == manager.pool.num_blocks - 1


@needs_torch
def test_a_poisoned_token_harms_only_the_requests_that_hold_it():
    """NaN in the model's memory of one request: neither its batch mates nor those who get its blocks later see it."""
    from impl.llm import LLM
    import torch
    arguments = {"dtype": "float32", "block_size": 4, "max_model_len": 64, "num_gpu_blocks_override": 33, "enable_prefix_caching": False}
    llm = LLM(folder("llama"), **arguments)
    prompts = [{"prompt_token_ids": [5, 6, 7, 8]}, {"prompt_token_ids": [9, 10, 11]}]
    expected = told(llm.generate(prompts, GREEDY))
    with torch.no_grad():
        llm.engine.model_runner.model.model.embed_tokens.weight[1000] = float("nan")
    outputs = llm.generate([*prompts, {"prompt_token_ids": [1000] * 40}], GREEDY)
    assert told(outputs[:2]) == expected and outputs[2].outputs[0].finish_reason == "error" and not outputs[2].outputs[0].token_ids
    for _ in range(4):      # through all the blocks
        assert told(llm.generate(prompts, GREEDY)) == expected


@needs_torch
def test_what_forbids_everything_ends_with_an_error():
    output = our_llm("qwen3").generate("x", SamplingParams(allowed_token_ids=(5,), stop_token_ids=(5,), min_tokens=2))[0]
    assert output.outputs[0].finish_reason == "error" and "everything is forbidden" in output.outputs[0].stop_reason


@needs_torch
def test_the_command_line_streams_and_says_how_fast():
    done = subprocess.run([sys.executable, "-m", "impl", "--model", folder("llama"), "--max-tokens", "12", "Elizabeth was"], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2])
    expected = our_llm("llama").generate("Elizabeth was", SamplingParams(temperature=0, max_tokens=12))[0].outputs[0].text
    assert done.stdout == expected + "\n" and "a second" in done.stderr and "first token" in done.stderr, done.stderr
    refused = subprocess.run([sys.executable, "-m", "impl", "--model", "/nowhere", "x"], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert refused.returncode == 2 and refused.stderr.startswith("CheckpointError: ")
