"""What is handed out, of prompts in every form: tokens, texts, logprobs, streams, chats. Each as by vLLM."""
import json
from pathlib import Path

import pytest

from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import GREEDY, LIMITS, NOISE, TEXTS, folder, needs_vllm, our_llm, ours, theirs, token_prompts, told


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
