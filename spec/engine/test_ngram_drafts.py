"""N-gram speculative decoding, whole: what is drafted, what is kept of it, and that nobody can tell from what is said.

This is the proposer of vLLM's first model runner, with which its build for CPUs runs. The second, on a GPU, has another
(`v1/worker/gpu/spec_decode/ngram/speculator.py`), which looks the n-grams up in a kernel and follows the latest place.
"""
from functools import partial
from os.path import commonprefix
from re import fullmatch

from spec import bench
from spec.bench import prompts
from spec.engine.many_prompts import CORPUS, own_text

NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
LOOKUP = "v1/spec_decode/ngram_proposer.py::_find_longest_matched_ngram_and_propose_tokens"
RUNNER = "v1/worker/gpu_model_runner.py::GPUModelRunner"
REJECTION = "v1/sample/rejection_sampler.py::RejectionSampler"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"
REFUSAL = "sampling_params.py::SamplingParams._validate_spec_decode"
CONFIG = "config/speculative.py::SpeculativeConfig"
PLACEHOLDER = -1
claim = partial(bench.claim, build="cpu")


def drafting(**limits):
    return prompts(**{"speculative_config": NGRAM} | limits)


def ask_each(texts, asked, **params):
    for number, text in enumerate(texts):
        asked = asked.ask(str(number), text, **params)
    return asked


def both(asked):
    """The same prompts with drafts and without."""
    plain = prompts(asked.model, **{name: value for name, value in asked.limits.items() if name != "speculative_config"})
    for ask in asked.asks:
        plain = plain.ask(ask.request_id, ask.prompt, arrives=ask.arrives, **ask.params)
    return asked, plain


# What so small a model says repeats little. Where it may choose between two tokens only, it has to.
texts = ask_each(CORPUS[:12], drafting(), max_tokens=40, logprobs=2)
repetitive = ask_each(("Elizabeth", "The", "a"), drafting(), max_tokens=40, allowed_token_ids=[14, 15])
babble = ask_each(("Elizabeth", "The", "a"), drafting(), max_tokens=60, allowed_token_ids=list(range(269, 277)))
alone = drafting().ask("a", "the the the the the the the the the", max_tokens=40)
bound = (drafting()
         .ask("penalties", "Mr. Darcy", max_tokens=40, repetition_penalty=0.7, presence_penalty=0.5)
         .ask("frequency", "Mr. Darcy", max_tokens=40, frequency_penalty=-2.0)
         .ask("bad words", "the ball, the ball, the ball,", max_tokens=40, bad_words=["the", "ball", "Mr. B"])
         .ask("allowed", "She was", max_tokens=40, allowed_token_ids=list(range(3, 80)))
         .ask("min tokens", "Mr. Bennet", max_tokens=60, min_tokens=50)
         .ask("all", "I", max_tokens=40, allowed_token_ids=list(range(2, 200)), bad_words=["a"], frequency_penalty=-1.0))
# One at a time: of several that end in a step by a stop string, vLLM frees the blocks in the order of a set.
stopped = drafting()
for name, length in (("The", 11), ("a", 15), ("Elizabeth", 19)):
    stopped = stopped.ask(name, name, max_tokens=40, allowed_token_ids=[14, 15], stop=["," * length, "+" * length], logprobs=1)
processed = ask_each(("Elizabeth", "The"), drafting(logprobs_mode="processed_logprobs"), max_tokens=20, allowed_token_ids=[14, 15, 288], logprobs=3,
                     repetition_penalty=0.8)
# With four tokens, the second may come. Three of them are drafted at once, behind the first.
barely = drafting().ask("a", [14] * 10, max_tokens=20, allowed_token_ids=[14, 288], stop_token_ids=[288], min_tokens=4)
# No further than the context: the first is nearly as long.
long_and_short = (drafting(max_model_len=96)
                  .ask("long", "the king " * 22, max_tokens=40, ignore_eos=True)
                  .ask("short", "the the the the the", max_tokens=40, ignore_eos=True))
crowded = ask_each(CORPUS[:8], drafting(num_gpu_blocks_override=9, max_model_len=256, max_num_batched_tokens=24), max_tokens=60, ignore_eos=True)
cached = {model: (drafting(model=model)
                  .ask("first", own_text(model)[:32] + [5, 6], max_tokens=20, ignore_eos=True)
                  .ask("second", own_text(model)[:32] + [7], arrives=3, max_tokens=20, ignore_eos=True)) for model in ("qwen3", "llama")}

ruled = (drafting()
         .ask("number", "123-4567, 123-4567, 123-4567, ", max_tokens=30, structured_outputs={"regex": "[0-9]{3}-[0-9]{4}"}, logprobs=2)
         .ask("letters", "abcabcabcabc", max_tokens=40, structured_outputs={"regex": "[ab ]{20}"}, logprobs=2)
         .ask("grammar", "a b a b", arrives=4, max_tokens=30, structured_outputs={"grammar": 'root ::= ("ab" | "ba")+ "!"'})
         .ask("free", "the the the the the", max_tokens=30, logprobs=2))


def told(run):
    return {name: (done.token_ids, done.text, done.finish_reason, done.stop_reason) for name, output in run.requests.items() for done in output.outputs}


def num_shares(run):
    """How often anybody was served: steps, as long as each request is alone."""
    return sum(len(step.scheduled) for step in run.steps)


def decodes(run):
    """Of each share of a running request that says something: its tokens before the step, its drafts, and what it says."""
    known = {name: list(output.prompt_token_ids) for name, output in run.requests.items()}
    for step in run.steps:
        new = {done.request_id: list(done.new_token_ids) for done in step.outputs}
        for share in step.running:
            if share.request_id in new:
                yield list(known[share.request_id]), list(share.spec_token_ids), new[share.request_id]
        for name, token_ids in new.items():
            known[name] += token_ids


def places(token_ids, n):
    """Where the last `n` tokens occur before the end."""
    return [start for start in range(len(token_ids) - n) if token_ids[start:start + n] == token_ids[len(token_ids) - n:]]


def longest_known(token_ids):
    """The length of the longest n-gram at the end that occurs before; 0 if none does."""
    return max((n for n in (1, 2, 3) if places(token_ids, n)), default=0)


@claim("With n-gram drafts greedy decoding says what it says without, and each request is served less often.",
       on=both(texts), about=("greedy", "accepted draft", "rejected draft", "logprobs"), vllm=f"{REJECTION}.forward")
def test_drafts_change_nothing_that_is_said(speculating, plain):
    assert told(speculating) == told(plain)
    assert num_shares(speculating) < num_shares(plain) and len(speculating.steps) <= len(plain.steps)


@claim("A request that repeats itself takes a fraction of the steps.",
       on=both(repetitive), about="accepted draft", vllm=f"{RUNNER}.propose_draft_token_ids")
def test_repetition_takes_fewer_steps(speculating, plain):
    assert told(speculating) == told(plain)
    assert len(speculating.steps) < len(plain.steps) / 2, f"{len(speculating.steps)} steps, and without drafts {len(plain.steps)}"


@claim("A step says the drafts that are what the model would say, up to the first that is not, and one token more.",
       on=(texts, repetitive), about=("accepted draft", "rejected draft"), vllm="v1/sample/rejection_sampler.py::rejection_sample")
def test_a_step_says_one_more_than_was_right(*runs):
    for run in runs:
        for _, drafts, said in decodes(run):
            right = len(commonprefix([drafts, said]))
            assert len(said) == right + 1 or said == drafts[:right], f"drafted {drafts}, said {said}"      # an end may come before the one more


@claim("Drafts are proposed where the last token has occurred before, and only there.",
       on=(texts, alone), about=("draft", "nothing proposed"), vllm=LOOKUP)
def test_drafts_come_of_what_was_said_before(*runs):
    for run in runs:
        for known, drafts, _ in decodes(run):
            assert bool(drafts) == bool(longest_known(known)), f"drafted {drafts} behind {known[-6:]}"


@claim("Drafted is what followed the longest n-gram at the end that occurs before, where it occurs first.",
       on=(texts, babble), about="draft", vllm=LOOKUP)
def test_the_longest_and_earliest_is_followed(*runs):
    shorter_ones_differ = False
    for run in runs:
        for known, drafts, _ in decodes(run):
            if drafts:
                followed = [known[start + n:start + n + 3] for n in range(longest_known(known), 0, -1) for start in places(known, n)[:1]]
                assert drafts == followed[0], f"behind {known[-3:]}"
                shorter_ones_differ |= followed[0] != followed[-1]
    assert shorter_ones_differ, "in these runs the length of the n-gram is all the same"


@claim("Of several places where the last tokens occur, the latest says how they go on.",
       on=babble, about="draft", vllm=LOOKUP, misconception=True)
def test_the_latest_place_is_followed(run):
    for known, drafts, _ in decodes(run):
        if drafts:
            n = longest_known(known)
            start = places(known, n)[-1] + n
            assert drafts == known[start:start + 3], f"{known[-n:]} occurs at {places(known, n)}, and drafted is {drafts}"


@claim("What was computed for a rejected draft is computed again: it costs tokens, and no step.",
       on=both(alone), about="rejected draft", vllm=UPDATE)
def test_rejected_drafts_cost_tokens_and_no_steps(speculating, plain):
    wasted = sum(len(drafts) - (len(said) - 1) for _, drafts, said in decodes(speculating))
    assert sum(step.num_tokens for step in speculating.steps) == sum(step.num_tokens for step in plain.steps) + wasted
    assert wasted > 0 and len(speculating.steps) <= len(plain.steps)
    for (_, _, said), before, after in zip(decodes(speculating), speculating.shares("a")[1:], speculating.shares("a")[2:]):
        assert after.num_computed_tokens == before.num_computed_tokens + len(said)


@claim("Each of the tokens of a step has its own logprobs.",
       on=both(processed), about=("logprobs", "accepted draft"), vllm=f"{REJECTION}._get_logprobs_tensors")
def test_each_token_has_its_logprobs(speculating, plain):
    for name, output in speculating.requests.items():
        mine, other = output.outputs[0], plain.requests[name].outputs[0]
        assert len(mine.logprobs) == len(mine.token_ids) and mine.token_ids == other.token_ids
        for token_id, ranked, without in zip(mine.token_ids, mine.logprobs, other.logprobs):
            assert abs(ranked[token_id].logprob - without[token_id].logprob) < 1e-4, f"{name}: {ranked} and {without}"


@claim("What forbids or penalises tokens takes the drafts before them for said.",
       on=both(bound), about=("accepted draft", "rejected draft"), vllm=f"{REJECTION}.apply_logits_processors")
def test_drafts_count_as_said(speculating, plain):
    assert told(speculating) == told(plain)


@claim("By a grammar, too, drafts change nothing that is said.",
       on=both(ruled), about=("accepted draft", "rejected draft"), vllm="v1/structured_output/__init__.py::StructuredOutputManager.grammar_bitmask")
def test_drafts_follow_the_grammar(speculating, plain):
    assert told(speculating) == told(plain)
    assert fullmatch("[0-9]{3}-[0-9]{4}", speculating.text("number")) and fullmatch("[ab ]{20}", speculating.text("letters"))


@claim("Drafts that break the grammar are cut off before they are scheduled.",
       on=ruled, about="draft", vllm="v1/structured_output/__init__.py::StructuredOutputManager.validate_tokens")
def test_drafts_that_break_the_grammar_are_not_computed(run):
    known, cut = list(run.requests["number"].prompt_token_ids), 0
    for step in run.steps:
        share, said = step.of("number"), [token_id for done in step.outputs if done.request_id == "number" for token_id in done.new_token_ids]
        if share and share.kind == "running":
            n = longest_known(known)
            followed = known[places(known, n)[0] + n:][:3] if n else []
            assert list(share.spec_token_ids) == followed[:len(share.spec_token_ids)]
            cut += len(share.spec_token_ids) < len(followed)
        known += said
    assert cut > 0, "each draft kept to the rules"


@claim("A stop string ends a request where it is complete, whatever else the step said.",
       on=both(stopped), about=("stop string", "accepted draft"), vllm="v1/engine/detokenizer.py::BaseIncrementalDetokenizer.update")
def test_nothing_is_said_behind_a_stop_string(speculating, plain):
    assert told(speculating) == told(plain)
    more = {name: sum(len(done.new_token_ids) for step in speculating.steps for done in step.outputs if done.request_id == name)
            - len(output.outputs[0].token_ids) for name, output in speculating.requests.items()}
    assert max(more.values()) > 0, "no step said more than was kept"


@claim("The token behind the drafts may still be forbidden to end a request that has its min_tokens with them.",
       on=both(barely), about="accepted draft", vllm="v1/sample/logits_processor/builtin.py::MinTokensLogitsProcessor.apply")
def test_min_tokens_lasts_to_the_end_of_a_step(speculating, plain):
    assert plain.tokens("a") == [14] * 4 + [288]
    assert speculating.tokens("a")[:5] == [14] * 5, "four of them are there, and the fifth may not be the end"


@claim("A request near the end of the context changes what is drafted for itself alone.",
       on=long_and_short, about=("draft", "rejected draft"), vllm=f"{RUNNER}._input_fits_in_drafter", misconception=True)
def test_a_long_request_spoils_nobody_elses_drafts(run):
    for number, step in enumerate(run.steps):
        share = step.of("short")
        long_before = max((each.num_computed_tokens + each.num_tokens for each in run.steps[number - 1].scheduled), default=0)
        assert not share or share.spec_token_ids != (0, 0, 0), f"after a step up to token {long_before} of 96, the drafts of the short one are token 0"


@claim("Preemption, chunks and full seats change no token of a request with drafts.",
       on=both(crowded), about=("preemption", "chunk", "accepted draft", "rejected draft"), vllm=f"{RUNNER}.execute_model")
def test_pressure_changes_nothing_that_is_said(speculating, plain):
    assert told(speculating) == told(plain)


@claim("A request whose prompt is cached but for one token is given placeholders, which are computed and rejected.",
       on=tuple(cached.values()), about=("placeholders", "cache hit"), vllm=f"{RUNNER}._calc_spec_decode_metadata")
def test_placeholders_are_computed_and_rejected(*runs):
    for run in runs:
        first, second = run.shares("second")[:2]
        assert first.spec_token_ids == (PLACEHOLDER,) * 3 and first.num_tokens == 4 and first.num_computed_tokens == 32
        assert second.num_computed_tokens == 33, "one token came of it"


@claim("min_p and logit_bias are refused beside drafts; a greedy request has no min_p.",
       on=(drafting().ask("min_p", "a", min_p=0.1, temperature=1.0).ask("bias", "a", logit_bias={5: 1.0}).ask("greedy", "a", min_p=0.2, max_tokens=3)),
       about="refusal", vllm=REFUSAL)
def test_what_drafts_are_not_verified_with_is_refused(run):
    assert set(run.refused) == {"min_p", "bias"} and run.tokens("greedy")


def refused(**config):
    return drafting(speculative_config=NGRAM | config).ask("a", "a", max_tokens=2)


@claim("An engine is not built for drafts that cannot be looked up.",
       on=(refused(num_speculative_tokens=0), refused(prompt_lookup_min=4), refused(prompt_lookup_min=0), refused(method="divination")),
       about="refusal", vllm=CONFIG)
def test_a_config_that_cannot_be(*runs):
    assert [run.ended for run in runs] == ["refused"] * 4
