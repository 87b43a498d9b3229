"""The judge of host synchronisations: a simulated GPU counts them, and the time it stood idle."""
import random

from drills.hpc.fakes import FakeGPU

EOS, VOCABULARY = 2, 1000
DETOKENISE = 300e-6     # seconds the host needs for the tokens of a step


class Run:
    """One call of the answer, and what came of it."""

    def __init__(self, answer, ends, max_steps, seed=0):
        """Request i ends at its step ends[i] (from 1)."""
        random.seed(seed)
        tokens, positions = [random.randrange(3, VOCABULARY) for _ in ends], [random.randrange(5, 500) for _ in ends]
        last = [position + end - 1 for position, end in zip(positions, ends)]

        def model(tokens, positions):
            """What comes after the end of a request is rubbish, as it is in a real batch."""
            return [EOS if position == end else 3 + (token * 7919 + position * 104729) % (VOCABULARY - 3)
                    for token, position, end in zip(tokens, positions, last, strict=True)]

        self.expected, now_tokens, now_positions = [], tokens, positions
        for step in range(min(max_steps, max(ends))):
            sampled = model(now_tokens, now_positions)
            now_tokens = [EOS if step >= end else token for token, end in zip(sampled, ends)]
            now_positions = [position + 1 for position in now_positions]
            self.expected.append(now_tokens)

        self.gpu, self.emitted, self.ended_meanwhile = FakeGPU(model), [], []

        def emit(step):
            self.emitted.append(list(step))
            self.ended_meanwhile.append(sum(end <= self.gpu.now for end in self.gpu.ends))
            self.gpu.now += DETOKENISE

        given = list(tokens), list(positions)
        answer.decode(self.gpu, tokens, positions, EOS, max_steps, emit)
        self.unchanged = given == (tokens, positions)
        self.about = f"requests that end at steps {list(ends)}, at most {max_steps} steps"


RUNS = [([1], 5), ([3], 5), ([9], 3), ([1, 2], 1), ([4, 2, 7], 20), ([5, 5, 5], 5), ([30, 12, 50, 3], 60), ([90, 99], 40)]


def test_the_same_tokens(answer):
    for seed, (ends, max_steps) in enumerate([([2], 0), *RUNS]):
        run = Run(answer, ends, max_steps, seed)
        assert len(run.emitted) == len(run.expected), f"{run.about}: {len(run.expected)} steps are to be emitted, not {len(run.emitted)}"
        for step, (got, right) in enumerate(zip(run.emitted, run.expected), 1):
            assert got == right, f"{run.about}: step {step} gives {right}, you emit {got}; a request that has ended gives {EOS} from then on"
        assert run.unchanged, f"{run.about}: your caller's lists of tokens and positions were changed"


def test_the_host_does_not_stop_the_gpu(answer):
    for ends, max_steps in RUNS:
        run = Run(answer, ends, max_steps)
        assert run.gpu.synchronisations <= 5, (
            f"{run.about}: the host waited {run.gpu.synchronisations} times for everything: item, tolist, upload and synchronize do; "
            "a few at the beginning are enough")


def test_the_gpu_is_never_idle(answer):
    for ends, max_steps in RUNS:
        run = Run(answer, ends, max_steps)
        idle = run.gpu.idle / len(run.gpu.ends)
        assert idle < 5e-6, (f"{run.about}: between two steps of {FakeGPU.STEP * 1e6:.0f} us the GPU had nothing to do for {idle * 1e6:.0f} us; the host needs "
                             f"{DETOKENISE * 1e6:.0f} us for the tokens of a step: launch the next one before you ask for them")


def test_at_most_one_step_is_in_vain(answer):
    for ends, max_steps in RUNS:
        run = Run(answer, ends, max_steps)
        made, needed = len(run.gpu.ends), len(run.expected)
        assert made <= min(needed + 1, max_steps), f"{run.about}: {needed} steps are needed, the GPU made {made}"


def test_the_tokens_do_not_come_late(answer):
    for ends, max_steps in RUNS:
        run = Run(answer, ends, max_steps)
        for step, ended in enumerate(run.ended_meanwhile, 1):
            assert ended <= step + 1, f"{run.about}: when you emit the tokens of step {step}, the GPU has done {ended} steps: somebody is waiting for them"
