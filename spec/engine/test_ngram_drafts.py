"""N-gram speculative decoding, whole: what is drafted, what is kept of it, and that nobody can tell from what is said."""
from spec.bench import claim, prompts
from spec.engine.many_prompts import CORPUS

NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
PROPOSER = "v1/spec_decode/ngram_proposer.py::NgramProposer"
REJECTION = "v1/sample/rejection_sampler.py::RejectionSampler.forward"
FITS = "v1/worker/gpu_model_runner.py::GPUModelRunner._input_fits_in_drafter"
REFUSAL = "sampling_params.py::SamplingParams._validate_spec_decode"


def drafting(**limits):
    return prompts(speculative_config=NGRAM, **limits)


def both(asked):
    """The same prompts with drafts and without."""
    limits = {name: value for name, value in asked.limits.items() if name != "speculative_config"}
    plain = prompts(**limits)
    for ask in asked.asks:
        plain = plain.ask(ask.request_id, ask.prompt, arrives=ask.arrives, priority=ask.priority, **ask.params)
    return asked, plain


def ask_each(texts, asked, **params):
    for number, text in enumerate(texts):
        asked = asked.ask(str(number), text, **params)
    return asked


# What a small model says of itself repeats little: a syllable here and there. With two tokens to choose from it has no choice.
texts = ask_each(CORPUS[:14], drafting(), max_tokens=40, logprobs=2)
repetitive = ask_each(("Elizabeth", "The", "a"), drafting(), max_tokens=40, allowed_token_ids=[14, 15])
praise = drafting().ask("a", "Mr. Darcy", max_tokens=40, frequency_penalty=-2.0)
alone = drafting().ask("a", "the the the the the the the the the", max_tokens=40)
bound = (drafting().ask("penalties", "Mr. Darcy", max_tokens=40, repetition_penalty=0.7, presence_penalty=0.5)
         .ask("bad words", "the ball, the ball, the ball,", max_tokens=40, bad_words=["the", "ball", "Mr. B"])
         .ask("allowed", "She was", max_tokens=40, allowed_token_ids=list(range(3, 80)))
         .ask("min tokens", "Mr. Bennet", max_tokens=60, min_tokens=50)
         .ask("all", "I", max_tokens=40, min_tokens=30, allowed_token_ids=list(range(2, 200)), bad_words=["a"], frequency_penalty=-1.0))
# No further than the context: the first is nearly as long.
long_and_short = (drafting(max_model_len=96).ask("long", "the king " * 22, max_tokens=40, ignore_eos=True)
                  .ask("short", "the the the the the", max_tokens=40, ignore_eos=True))
crowded = ask_each(CORPUS[:8], drafting(num_gpu_blocks_override=9, max_model_len=256, max_num_batched_tokens=24), max_tokens=60, ignore_eos=True)


def told(run):
    return {name: (output.outputs[0].token_ids, output.outputs[0].text, output.outputs[0].finish_reason, output.outputs[0].stop_reason)
            for name, output in run.requests.items()}


def drafted(run):
    """Of each request that decodes: its tokens before the step, its drafts, and what it says."""
    said = {name: list(output.prompt_token_ids) for name, output in run.requests.items()}
    for step in run.steps:
        new = {done.request_id: list(done.new_token_ids) for done in step.outputs}
        for share in step.running:
            if share.request_id in new:
                yield list(said[share.request_id]), list(share.spec_token_ids), new[share.request_id]
        for name, token_ids in new.items():
            said[name] += token_ids


@claim("With n-gram drafts greedy decoding says what it says without, in fewer steps.",
       on=both(texts), about=("greedy", "accepted draft", "rejected draft", "logprobs"), vllm=REJECTION)
def test_drafts_change_no_token(speculating, plain):
    assert told(speculating) == told(plain)
    assert len(speculating.steps) < len(plain.steps)


@claim("A request that repeats itself says several tokens in a step.",
       on=both(repetitive), about="accepted draft", vllm=REJECTION)
def test_repetition_is_fast(speculating, plain):
    assert told(speculating) == told(plain)
    assert len(speculating.steps) < len(plain.steps) / 2, f"{len(speculating.steps)} steps, without drafts {len(plain.steps)}"
