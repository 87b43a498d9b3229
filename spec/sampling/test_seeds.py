"""Seeds: what a seed fixes, and what may happen around a request without changing a token of it."""
from spec.bench import claim, prompts

ADD = "v1/worker/gpu_model_runner.py::GPUModelRunner._update_states"
CHILD = "v1/engine/parallel_sampling.py::ParentRequest._get_child_sampling_params"
DRAW = "v1/sample/ops/topk_topp_sampler.py::TopKTopPSampler.forward_cpu"
PARAMS = "sampling_params.py::SamplingParams.__post_init__"
START = "Elizabeth was"
HOT = {"temperature": 1.5, "max_tokens": 12}

alone = prompts().ask("a", START, seed=7, **HOT)
twins = alone.ask("b", START, seed=7, **HOT).ask("other", START, seed=8, **HOT)
crowd = (prompts().ask("x", "Mr. Darcy", temperature=1.0, seed=1, max_tokens=5).ask("greedy", START, max_tokens=9)
         .ask("a", START, seed=7, **HOT).ask("y", [5] * 40, arrives=2, temperature=2.0, seed=7, max_tokens=3))
late = (prompts().ask("x", "Mr. Darcy", temperature=1.0, seed=1, max_tokens=20).ask("a", START, arrives=6, seed=7, **HOT))
shorter = prompts().ask("a", START, seed=7, temperature=1.5, max_tokens=5)
family = (prompts().ask("three", START, n=3, seed=7, **HOT).ask("seven", START, seed=7, **HOT).ask("eight", START, seed=8, **HOT)
          .ask("nine", START, seed=9, **HOT))
greedy = prompts().ask("seeded", START, max_tokens=12, seed=7).ask("plain", START, max_tokens=12)
top_one = prompts().ask("seeded", START, max_tokens=12, seed=7, temperature=2.0, top_k=1).ask("plain", START, max_tokens=12)
crowded = (prompts(max_model_len=64, num_gpu_blocks_override=4).ask("a", [7] * 20, temperature=1.0, seed=1, max_tokens=30)
           .ask("b", [8] * 20, temperature=1.0, seed=2, max_tokens=30))
roomy = crowded.with_limits(num_gpu_blocks_override=9)
in_chunks = prompts(max_num_batched_tokens=16).ask("a", [5] * 20, temperature=1.0, seed=1, max_tokens=2)
far = prompts().ask("largest", START, seed=2**63 - 1, **HOT).ask("negative", START, seed=-5, **HOT)
too_far = prompts().ask("mate", START, max_tokens=3).ask("far", START, arrives=1, seed=2**64, **HOT)


@claim("The same prompt and the same seed give the same tokens.", on=twins, about="sampling", vllm=DRAW)
def test_twins_with_a_seed_agree(run):
    assert run.tokens("a") == run.tokens("b"), f"{run.text('a')!r}, {run.text('b')!r}"


@claim("Another seed gives other tokens.", on=twins, about="sampling", vllm=DRAW)
def test_another_seed_another_text(run):
    assert run.tokens("a") != run.tokens("other"), f"{run.text('a')!r} for both"


@claim("A seeded request generates the same tokens in a crowd as alone.", on=(alone, crowd), about="sampling", vllm=DRAW)
def test_a_seed_holds_in_a_crowd(alone, crowd):
    assert alone.tokens("a") == crowd.tokens("a"), f"alone {alone.text('a')!r}, in a crowd {crowd.text('a')!r}"


@claim("A seed fixes the output only if the request is alone in the batch.", on=(alone, crowd), about="sampling", vllm=DRAW, misconception=True)
def test_a_seed_holds_only_alone(alone, crowd):
    assert alone.tokens("a") != crowd.tokens("a"), f"in a crowd of {len(crowd.requests)} it says {crowd.text('a')!r} as well"


@claim("When a seeded request arrives makes no difference to its tokens.", on=(alone, late), about="sampling", vllm=DRAW)
def test_a_seed_holds_at_any_time(alone, late):
    assert alone.tokens("a") == late.tokens("a"), f"{alone.text('a')!r}, later {late.text('a')!r}"


@claim("A seed draws once a token: with fewer max_tokens the tokens are the first of the same.", on=(alone, shorter), about="sampling", vllm=DRAW)
def test_a_shorter_output_is_a_beginning(alone, shorter):
    assert shorter.tokens("a") == alone.tokens("a")[:5], f"{alone.text('a')!r}, shorter {shorter.text('a')!r}"


@claim("The i-th of n sequences is the request with the seed plus i.", on=family, about="several sequences", vllm=CHILD)
def test_a_child_has_the_next_seed(run):
    for index, name in enumerate(("seven", "eight", "nine")):
        assert run.tokens("three", index) == run.tokens(name), f"sequence {index}: {run.text('three', index)!r}, seed {name}: {run.text(name)!r}"


@claim("With a seed, the n sequences of a request are all the same.", on=family, about="several sequences", vllm=CHILD, misconception=True)
def test_the_children_of_a_seed_are_copies(run):
    texts = [run.text("three", index) for index in range(3)]
    assert len(set(texts)) == 1, f"{texts}"


@claim("A preempted request goes on drawing where it was: the same tokens as without preemption.", on=(crowded, roomy), about="preemption", vllm=ADD)
def test_a_seed_survives_a_preemption(crowded, roomy):
    assert crowded.preemptions and not roomy.preemptions
    for name in ("a", "b"):
        assert crowded.tokens(name) == roomy.tokens(name), f"{name}: {crowded.text(name)!r}, with room {roomy.text(name)!r}"


@claim("A greedy request does not care for its seed.", on=greedy, about="greedy", vllm=PARAMS)
def test_greedy_does_not_care_for_a_seed(run):
    assert run.tokens("seeded") == run.tokens("plain"), f"{run.text('seeded')!r}, {run.text('plain')!r}"


@claim("With top_k=1 the tokens are the greedy ones at any temperature and seed, unless two are equally likely.", on=top_one, about="sampling", vllm=DRAW)
def test_top_k_of_one_is_greedy(run):
    assert run.tokens("seeded") == run.tokens("plain"), f"{run.text('seeded')!r}, {run.text('plain')!r}"


@claim("Any seed of 64 bits will do, negative ones too.", on=far, about="sampling", vllm=ADD)
def test_seeds_of_64_bits(run):
    assert len(run.tokens("largest")) == len(run.tokens("negative")) == 12 and run.tokens("largest") != run.tokens("negative")


# The draw of a chunk that samples nothing is taken back, by an offset that generators on a CPU do not have.
@claim("On a CPU, a seeded request whose prompt is computed in more than one chunk crashes the engine.", on=in_chunks, about="crash", build="cpu",
       vllm="v1/worker/gpu_model_runner.py::GPUModelRunner._bookkeeping_sync")
def test_a_seed_and_a_chunk_crash_on_a_cpu(run):
    assert run.ended == "crashed" and "CPU Generator does not use offset" in run.error, f"{run.ended}: {run.error}"


@claim("A seed beyond 64 bits is not refused: it crashes the engine in a later step, with all who are in it.", on=too_far, about="crash", vllm=ADD)
def test_a_seed_too_large_crashes(run):
    assert not run.refused and run.ended == "crashed", f"{run.ended}: {run.refused}"
    assert not run.requests["mate"].finished, "its mate asked for nothing unusual"
