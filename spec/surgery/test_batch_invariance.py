"""What batch mates change. The whole experiment: `python -m reference.experiments.batch_invariance`."""
from reference.experiments.batch_invariance import asked, difference
from spec.bench import claim
from spec.engine.side_by_side import NOISE, needs_torch

pytestmark = needs_torch    # the rest of this folder is about decisions, and is asked without
RUNNER = "v1/worker/gpu_model_runner.py::GPUModelRunner.execute_model"

together, alone = (asked(None, "float32", at_a_time, num_prompts=8) for at_a_time in (8, 1))


@claim("In float32, seven batch mates move the logprobs of a request by no more than another order of the sums can, and none of its tokens.",
       on=(together, alone), about=("greedy", "logprobs", "decode"), vllm=RUNNER)
def test_batch_mates_move_nothing_but_the_last_digits(run, by_itself):
    assert all(len(step.scheduled) == 1 for step in by_itself.steps)
    num_together, largest, changed, earliest = difference(by_itself, run)
    assert num_together == 8 and changed == 0, f"{changed} of 8 say something else, from token {earliest} on"
    assert largest <= NOISE, f"a logprob moved by {largest:.1e}"
