"""How a request ends, and what it leaves behind."""
from spec.bench import claim, prompts

FINISH = "v1/core/sched/scheduler.py::Scheduler.finish_requests"

ABORTED = prompts().ask("a", "Elizabeth was", max_tokens=40).ask("b", "Mr. Darcy", max_tokens=40).abort("a", at=10)


@claim("An aborted request gives no further output, and its blocks are free before the next step.", on=ABORTED, about="abort", vllm=FINISH)
def test_an_abort_frees_the_blocks_at_once(run):
    assert len(run.tokens("a")) == 10 and not run.requests["a"].finished
    assert run.steps[10].scheduled_state.running == ("b",)
    assert len(run.steps[10].scheduled_state.free_blocks) == len(run.steps[9].scheduled_state.free_blocks) + 1


@claim("An abort does not disturb who stays: it says what it says alone.", about="abort", vllm=FINISH,
       on=(ABORTED, prompts().ask("b", "Mr. Darcy", max_tokens=40)))
def test_an_abort_leaves_the_others_alone(run, by_itself):
    assert run.text("b") == by_itself.text("b")


@claim("The workers learn of an abort with the next step.", on=ABORTED, about="abort", vllm=FINISH)
def test_the_workers_are_told_of_an_abort(run):
    assert [step.index for step in run.steps if step.finished] == [10] and run.steps[10].finished == ("a",)


@claim("A request may be aborted before it was ever admitted.", about=("abort", "waiting"), vllm=FINISH,
       on=prompts(max_num_seqs=1).ask("a", "Elizabeth was", max_tokens=9).ask("b", "Mr. Darcy", max_tokens=9).abort("b", at=3))
def test_who_waits_can_be_aborted(run):
    assert "b" not in run.requests and run.requests["a"].finished
    assert run.steps[3].scheduled_state.waiting == ()


@claim("An abort of somebody unknown, or long finished, is ignored.", about=("greedy", "abort call"), vllm="v1/engine/llm_engine.py::LLMEngine.abort_request",
       on=prompts().ask("a", "Elizabeth was", max_tokens=3).ask("b", "Mr. Darcy", max_tokens=9).abort("nobody", at=1).abort("a", at=6))
def test_an_abort_of_nobody_is_ignored(run):
    assert run.requests["a"].finished and run.requests["b"].finished


# vLLM frees the three in the order of a set of strings: no run is like the next, so the free queue's order is not compared.
@claim("An abort of a request with n=3 ends all its sequences.", about=("abort", "several sequences"), vllm=FINISH, renamed=True,
       on=prompts().ask("a", "The", n=3, temperature=1.0, seed=3, max_tokens=9).ask("b", "Mr. Darcy", max_tokens=9).abort("a", at=4))
def test_an_abort_ends_the_family(run):
    assert [len(done.token_ids) for done in run.requests["a"].outputs] == [4, 4, 4]
    assert run.steps[4].scheduled_state.running == ("b",)


STOPPED = prompts().ask("a", "Elizabeth was", max_tokens=40, stop=["e"]).ask("b", "Mr. Darcy", max_tokens=40)


@claim("After everybody has gone all blocks are free again.", on=(ABORTED, STOPPED), about=("abort", "stop string"),
       vllm="v1/core/kv_cache_manager.py::KVCacheManager.free")
def test_all_blocks_come_back(*runs):
    for run in runs:
        assert len(run.steps[-1].updated_state.free_blocks) == 48, f"{len(run.steps[-1].updated_state.free_blocks)} of 48 are free"


@claim("A request that is refused leaves no trace: no block, no seat, no name.", about=("refusal", "greedy"),
       vllm="v1/engine/input_processor.py::InputProcessor.process_inputs",
       on=prompts().ask("a", "Elizabeth was", max_tokens=9).ask("bad", [5000], arrives=3).ask("long", [5] * 600, arrives=3)
       .ask("empty", [], arrives=4).ask("b", "Mr. Darcy", arrives=5, max_tokens=9))
def test_a_refusal_leaves_no_trace(run):
    assert run.refused.keys() == {"bad", "long", "empty"}
    assert all(step.scheduled_state.running in (("a",), ("b",), ("a", "b")) and not step.scheduled_state.waiting for step in run.steps)
