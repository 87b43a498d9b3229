"""What becomes visible, and when. A piece is what one step added to the text."""
from spec.bench import claim, prompts

DECODE, PROCESS = "v1/engine/detokenizer.py::FastIncrementalDetokenizer.decode_next", "v1/engine/output_processor.py::OutputProcessor.process_outputs"


@claim("The pieces in which a text becomes visible are the text: nothing is taken back, nothing is said twice.",
       on=prompts().ask("a", "Elizabeth was", max_tokens=40).ask("b", "“Oh!", max_tokens=40), about="greedy", vllm=DECODE)
def test_pieces_are_the_text(run):
    for request_id in "ab":
        assert "".join(run.pieces[request_id]) == run.text(request_id)


@claim("The sequences of one request grow side by side, one token a step each.", about=("several sequences", "sampling"), vllm=PROCESS,
       on=prompts().ask("a", "The", n=3, temperature=1.0, seed=3, max_tokens=8))
def test_sequences_grow_side_by_side(run):
    assert [len(step.outputs) for step in run.steps] == [3] * 8
    assert len({tuple(done.token_ids) for done in run.requests["a"].outputs}) == 3


@claim("A request has finished when its last sequence has.", about=("several sequences", "stop token"), vllm=
       "v1/engine/parallel_sampling.py::ParentRequest.get_outputs",
       on=prompts().ask("a", "The", n=4, temperature=1.0, seed=3, max_tokens=30, stop_token_ids=list(range(250, 330))))
def test_a_family_ends_with_its_last(run):
    ends = [len(done.token_ids) for done in run.requests["a"].outputs]
    assert len(set(ends)) > 1, f"all end at once: {ends}"
    assert run.requests["a"].finished and len(run.steps) == max(ends)
