"""What asynchronous scheduling costs, in steps and tokens, and how its gain is measured. The whole experiment: `python -m reference.experiments.async_gap`."""
import pytest

from reference.experiments.async_gap import NUM_REQUESTS, cost, overlapped, placeholders, served
from reference.prompts import CHECKPOINTS
from reference.vllm_scheduler import installed_version
from spec.bench import EOS, claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"
AFTER = "v1/core/sched/async_scheduler.py::AsyncScheduler._update_after_schedule"
ENGINE = "v1/engine/core.py::EngineCore.step_with_batch_queue"

by_length, some_by_eos, by_eos = served(0), served(3), served(NUM_REQUESTS)
one_seat, two_seats = (served(3, seats) for seats in (1, 2))
short = overlapped(workload(num_blocks=12).request("a", prompt=4, max_tokens=9, says={3: EOS}))


def both_orders(*plain):
    return tuple(asked for each in plain for asked in (each, overlapped(each)))


@claim("Asynchronous scheduling computes one token in vain for each request that ends by EOS, and none for one that ends by its length.",
       on=both_orders(by_length, some_by_eos, by_eos), about=("stop", "wasted share", "end known in advance"), vllm=UPDATE)
def test_each_eos_costs_one_token(*runs):
    for plain, run, ends_by_eos in zip(runs[::2], runs[1::2], (0, 3, NUM_REQUESTS), strict=True):
        assert list(run.finish_reasons.values()).count("stop") == ends_by_eos
        assert cost(plain, run)["tokens in vain"] == ends_by_eos


# It saves time, and pays with these.
@claim("With asynchronous scheduling the same requests need fewer steps.", on=both_orders(by_length), about="step in flight", vllm=ENGINE, misconception=True)
def test_fewer_steps(plain, run):
    assert len(run.steps) < len(plain.steps), f"{len(plain.steps)} steps became {len(run.steps)}"


@claim("All that is said comes one step later: requests that all run at once take one step more, and two if the last to end does so by EOS.",
       on=both_orders(by_length, some_by_eos, by_eos), about=("step in flight", "stop", "length"), vllm=ENGINE)
def test_one_step_more(*runs):
    assert [cost(plain, run)["steps more"] for plain, run in zip(runs[::2], runs[1::2])] == [1, 1, 2]
    for plain, run in zip(runs[::2], runs[1::2]):
        told = [[(done.request_id, step.index) for step in each.steps for done in step.outputs] for each in (plain, run)]
        assert [(request_id, index + 1) for request_id, index in told[0]] == told[1]


@claim("Each time that a seat is handed on, a step is lost, however its last owner has ended.",
       on=both_orders(one_seat, two_seats), about=("waiting", "stop", "end known in advance"), vllm=SCHEDULE)
def test_a_seat_that_is_handed_on_costs_a_step(*runs):
    for plain, run, seats in zip(runs[::2], runs[1::2], (1, 2), strict=True):
        handed_on = NUM_REQUESTS // seats - 1
        assert cost(plain, run)["steps more"] == handed_on + 1
        later = [run.first_step(f"r{number}").index - plain.first_step(f"r{number}").index for number in range(NUM_REQUESTS)]
        assert later == [number // seats for number in range(NUM_REQUESTS)]


@claim("A step is decided with at most one placeholder a request: the positions behind its known tokens are one, from its first decode on.",
       on=short, about=("decode", "step in flight", "wasted share"), vllm=AFTER)
def test_one_placeholder(run):
    rows = placeholders(run, "a")
    assert [row[1:4] for row in rows] == [["0 to 3", 4, 0], ["4 to 4", 4, 1], ["5 to 5", 5, 1], ["6 to 6", 6, 1], ["none", 7, 0]]
    assert [row[4] for row in rows] == [0, 1, 1, "EOS", 0]


def test_what_a_request_says_otherwise_is_no_cost():
    from reference.experiments.both import runs
    plain, other = (runs(asked, ["impl"])["impl"] for asked in (by_length, overlapped(by_eos)))
    with pytest.raises(ValueError, match="says something else"):
        cost(plain, other)


@pytest.fixture
def device_gap(monkeypatch):
    """With our engine on the CPU, wherever vLLM computes."""
    pytest.importorskip("torch", reason="a model decodes with torch, and there is none here: 'make setup' installs it")
    from reference.experiments import device_gap
    monkeypatch.setattr(device_gap, "installed_device", lambda: "cpu")
    return device_gap


@pytest.mark.skipif(installed_version() is None, reason="UNTESTED: vLLM's own engine is needed; 'make spec' installs it")
def test_vllm_overlaps_its_steps_also_where_it_does_not_offer_to(device_gap):
    engines = [device_gap.Engine("vllm", CHECKPOINTS / "qwen3", order, enforce_eager=True, **LIMITS) for order in (False, True)]
    said = []
    for engine in engines:
        told, step = {}, engine.engine.step

        def noted():
            outputs = step()
            told.update({output.request_id: output.outputs[0].token_ids for output in outputs})
            return outputs

        engine.engine.step = noted
        assert len(engine.decode(4, 16)) == 16 - 2 * device_gap.EDGE
        said.append(told)
    assert said[0] == said[1] and [len(tokens) for tokens in said[0].values()] == [16] * 4
    cores = [engine.engine.engine_core.engine_core for engine in engines]
    assert [(core.batch_queue_size, type(core.scheduler).__name__) for core in cores] == [(1, "Scheduler"), (2, "AsyncScheduler")]


LIMITS = {"dtype": "float32", "block_size": 32, "num_gpu_blocks_override": 33, "max_model_len": 128, "max_num_seqs": 8, "max_num_batched_tokens": 256}


@pytest.mark.parametrize("order", (False, True))
def test_each_step_of_the_model_is_metered_and_begins_after_the_one_before(device_gap, order):
    engine = device_gap.Engine("impl", CHECKPOINTS / "qwen3", order, **LIMITS)
    for _ in range(2):      # what runs empty at the end of one run is not a step of the next
        spans = engine.decode(4, 16)
        assert len(spans) == 16 - 2 * device_gap.EDGE and all(0 < span.busy <= span.ended - span.began for span in spans)
        assert all(before.ended <= after.began for before, after in zip(spans, spans[1:]))
    seen = device_gap.on_the_cpu(spans)
    assert 0 < seen.busy < seen.step and 0 < seen.between and 0 < seen.idle < 1


def test_requests_that_do_not_decode_together_are_refused(device_gap):
    with pytest.raises(RuntimeError, match="16 tokens took 32 steps: give the engine room for 9 requests"):
        device_gap.Engine("impl", CHECKPOINTS / "qwen3", False, **LIMITS).decode(9, 16)


def test_the_steps_and_the_profile_have_one_clock(device_gap, tmp_path):
    """A GPU's kernels are told apart by when they were launched. Here by operators: each step looks up its tokens once, and begins with that."""
    engine = device_gap.Engine("impl", CHECKPOINTS / "qwen3", False, **LIMITS)
    engine.decode(2, 12)
    steps, events = device_gap.profiled(engine, 2, 12, tmp_path / "profile.json")
    lookups = [event["ts"] for event in events if event.get("name") == "aten::embedding"]
    assert len(lookups) == 12 and [sum(step <= lookup for step in steps) for lookup in lookups[device_gap.EDGE:-device_gap.EDGE]] == list(range(1, len(steps) + 1))


def test_on_a_gpu_work_belongs_to_the_step_that_launched_it(device_gap):
    """Two steps of 100 microseconds: launched at 0 and 100, at work from 20 to 60, 50 to 70 and 190 to 230. The last step is not counted."""
    def launch(ts, correlation):
        return {"cat": "cuda_runtime", "name": "cudaLaunchKernel", "ts": ts, "dur": 5, "args": {"correlation": correlation}}

    def work(ts, dur, correlation, cat="kernel"):
        return {"cat": cat, "name": "gemm", "ts": ts, "dur": dur, "args": {"correlation": correlation}}

    events = [launch(-50, 1), work(0, 900, 1), launch(10, 2), work(20, 40, 2), launch(15, 3), work(50, 20, 3, "gpu_memcpy"),
              launch(130, 4), work(190, 40, 4), launch(205, 5), work(260, 40, 5), {"cat": "cpu_op", "ts": 20, "dur": 500}, {"ph": "M"}]
    spans = [device_gap.Span(began, began + 0.01, 0.01) for began in (0.0, 0.1, 0.2)]
    seen = device_gap.on_a_gpu(spans, [0, 100, 200], events)
    assert (seen.step, seen.busy, seen.between) == pytest.approx((100, 0.045, 0.12))
    with pytest.raises(RuntimeError, match="launched in 0 of 2 steps; it has 5 pieces of work and 0 launches"):
        device_gap.on_a_gpu(spans, [0, 100, 200], [event for event in events if event.get("cat") != "cuda_runtime"])
