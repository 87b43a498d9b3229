"""Two ranks say what one says; and what becomes of the engine when a rank dies, hangs or is somewhere else."""
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from impl.errors import InvalidConfigError, StepMismatchError, WorkerDiedError, WorkerHungError
from impl.sampling_params import SamplingParams
from reference.source import vllm_folder
from reference.vllm_ranks import ALONE, ASKED, prompts as reference_prompts
from spec.engine.many_prompts import own_text
from spec.engine.side_by_side import LIMITS, MODELS, NOISE, folder, needs_torch, our_llm

pytestmark = needs_torch

# Small enough that prompts come in chunks and requests are preempted.
CROWDED = LIMITS | {"num_gpu_blocks_override": 12, "max_num_batched_tokens": 32, "max_num_seqs": 4, "max_model_len": 176, "block_size": 16}
KERNELS = pytest.param(True, marks=pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1",
                                                      reason="on the CPU, kernels need Triton's interpreter: set TRITON_INTERPRET=1"))
SOON = 20.0     # seconds: no rank takes this long to be found out, on a busy machine either


def two_ranks(model: str, **more):
    from impl.llm import LLM    # imports torch
    return LLM(folder(model), **CROWDED | {"dtype": "float32", "tensor_parallel_size": 2} | more)


def real_answers(model: str) -> dict:
    """What the real vLLM said with two ranks, and the collectives of each: `python -m reference.vllm_ranks` asks it anew."""
    return json.loads(Path(__file__).with_name("vllm_two_ranks.json").read_text())[model]


def processes(llm) -> list[int]:
    return [worker.process.pid for worker in llm.engine.model_runner.workers]


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module", params=MODELS)
def pair(request):
    """Two ranks and one, with the same limits. The Llama has a step in flight."""
    llm = two_ranks(request.param, async_scheduling=request.param == "llama")
    yield request.param, llm, our_llm(request.param, device="cpu", **CROWDED)
    pids = processes(llm)
    llm.engine.model_runner.shutdown()
    assert not any(map(lives, pids))


def asked(model: str) -> tuple[list[dict], list[SamplingParams]]:
    """Greedy and seeded, three with a common beginning, one that wants its prompt ranked."""
    said = own_text(model)
    token_ids = [said[:70], said[100:105], said[200:240], said[:64] + said[300:320], said[400:401], said[500:590], said[:70]]
    params = [{"temperature": 0}, {"seed": 1}, {"temperature": 0, "repetition_penalty": 1.2}, {"seed": 2, "top_p": 0.9}, {"seed": 3}, {"temperature": 0}, {"seed": 4}]
    return ([{"prompt_token_ids": each} for each in token_ids],
            [SamplingParams(max_tokens=24, ignore_eos=True, logprobs=2, prompt_logprobs=1 if number == 2 else None, **each) for number, each in enumerate(params)])


def watch(engine) -> Counter:
    """Count what happens while the engine is turned."""
    seen, schedule = Counter(), engine.scheduler.schedule

    def watched():
        output = schedule()
        seen["preempted"] += len(output.preempted_req_ids)
        for share in output.scheduled:
            request = engine.scheduler.requests[share.request_id]
            seen["hits"] += share.kind == "new" and share.num_computed_tokens > 0
            seen["chunks"] += share.num_computed_tokens + share.num_tokens < request.num_tokens
        return output

    engine.scheduler.schedule = watched
    return seen


def test_the_same_tokens_as_one_rank(pair):
    model, llm, alone = pair
    seen = watch(llm.engine)
    prompts, params = asked(model)
    mine, expected = [engine.generate(prompts, params) for engine in (llm, alone)]
    assert all(seen[event] for event in ("preempted", "hits", "chunks")), seen
    for output, other in zip(mine, expected):
        assert output.outputs[0].token_ids == other.outputs[0].token_ids
        told = zip(output.outputs[0].logprobs + (output.prompt_logprobs or [])[1:], other.outputs[0].logprobs + (other.prompt_logprobs or [])[1:])
        for position, theirs in told:
            common = position.keys() & theirs.keys()
            assert common and all(abs(position[token_id].logprob - theirs[token_id].logprob) < NOISE for token_id in common)


def test_each_rank_has_its_part(pair):
    """Half of each matrix and of the KV cache; all of the norms."""
    _, llm, alone = pair
    part, whole = llm.engine.model_runner.model_runner, alone.engine.model_runner
    assert part.caches[0].shape[3] * 2 == whole.caches[0].shape[3]
    numbers = [sum(weight.numel() for weight in runner.model.parameters() if weight.dim() == 2 and weight.shape[-1] > 32) for runner in (part, whole)]
    assert numbers[0] * 2 == numbers[1]


@pytest.fixture
def collectives(monkeypatch) -> list:
    """What rank 0 takes part in, by name and shape."""
    from impl.tensor_parallel import Group
    seen = []
    for name in ("all_reduce", "all_gather"):
        def noted(group, x, name=name, collective=getattr(Group, name)):
            seen.append([name, list(x.shape)])
            return collective(group, x)
        monkeypatch.setattr(Group, name, noted)
    return seen


def test_two_collectives_a_layer_and_two_more_as_in_vllm(pair, collectives):
    """An all-reduce behind the attention and one behind the feed-forward network; one for the embedding, and an all-gather of the logits."""
    model, llm, _ = pair
    llm.generate({"prompt_token_ids": ALONE}, SamplingParams(temperature=0, max_tokens=1))
    config = llm.engine.model_config
    assert collectives == [["all_reduce", [5, config["hidden_size"]]]] * (1 + 2 * config["num_hidden_layers"]) + [["all_gather", [1, config["vocab_size"] // 2]]]
    assert real_answers(model)["collectives"] == [collectives] * 2


def test_the_same_tokens_as_vllm_with_two_ranks(pair):
    model, llm, _ = pair
    params = [SamplingParams(max_tokens=24, ignore_eos=True, logprobs=0, **each) for each in ASKED]
    outputs = llm.generate([{"prompt_token_ids": token_ids} for token_ids in reference_prompts()], params)
    said = real_answers(model)["said"]
    assert [list(output.outputs[0].token_ids) for output in outputs] == [real["token_ids"] for real in said]
    for output, real in zip(outputs, said):
        done = output.outputs[0]
        assert [position[token_id].logprob for position, token_id in zip(done.logprobs, done.token_ids)] == pytest.approx(real["logprobs"], abs=NOISE)


@pytest.mark.skipif(vllm_folder() is None, reason="vLLM's source is not here; 'make spec' installs it")
def test_vllm_has_its_collectives_in_the_same_places():
    """In a layer whose results are not gathered, only the row-parallel products reduce: two a layer, and one for the embedding."""
    import ast
    source = {name: (vllm_folder() / "model_executor" / name).read_text() for name in
              ("layers/linear.py", "layers/vocab_parallel_embedding.py", "layers/logits_processor.py", "models/llama.py", "models/qwen3.py")}

    def calls(name: str, holder: str, called: tuple[str, ...]) -> list[str]:
        """Which collectives a class's or function's source calls."""
        found = [node for node in ast.walk(ast.parse(source[name])) if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == holder]
        return [getattr(call.func, "id", getattr(call.func, "attr", "")) for node in found for call in ast.walk(node)
                if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) in called]

    reduce, gather, layers = "tensor_model_parallel_all_reduce", "tensor_model_parallel_all_gather", ("RowParallelLinear", "ColumnParallelLinear")
    assert calls("layers/linear.py", "RowParallelLinear", (reduce, gather)) == [reduce]
    assert calls("layers/linear.py", "ColumnParallelLinear", (reduce, gather)) == [gather]       # only with gather_output
    assert reduce in calls("layers/vocab_parallel_embedding.py", "VocabParallelEmbedding", (reduce, gather))
    assert calls("layers/logits_processor.py", "_gather_logits", (reduce, gather)) == [gather]
    assert calls("models/llama.py", "LlamaMLP", layers) == calls("models/llama.py", "LlamaAttention", layers) == ["RowParallelLinear"]
    assert calls("models/qwen3.py", "Qwen3Attention", layers) == ["RowParallelLinear"]
    assert not any("gather_output" in source[name] for name in ("models/llama.py", "models/qwen3.py"))


def in_the_middle(**more):
    """Two ranks in the middle of two requests."""
    llm = two_ranks("llama", distributed_timeout_seconds=4.0, **more)
    for request_id in ("a", "b"):
        llm.engine.add_request(request_id, {"prompt_token_ids": [5, 6, 7]}, SamplingParams(temperature=0, max_tokens=60, ignore_eos=True))
    for _ in range(3):
        llm.engine.step()
    return llm


@pytest.fixture
def engine():
    return in_the_middle()


def must_end(llm, kind, says: str) -> None:
    """The next step raises, soon, with the rank's name; again and again; and no process is left."""
    pids, started = processes(llm), time.monotonic()
    assert all(map(lives, pids))
    with pytest.raises(kind, match=says):
        llm.engine.step()
    assert time.monotonic() - started < SOON
    assert not any(map(lives, pids))
    with pytest.raises(kind, match=says):
        llm.generate("The", SamplingParams(temperature=0))
    assert not llm.engine.output_processor.families.keys() - {"a", "b"}


def test_a_rank_that_is_killed_between_steps(engine):
    os.kill(processes(engine)[0], signal.SIGKILL)
    must_end(engine, WorkerDiedError, r"rank 1 \(process \d+\) died with exit code -9")


@pytest.mark.parametrize("kernels", [False, KERNELS])
def test_a_rank_that_is_killed_in_a_step(kernels, monkeypatch):
    from impl.tensor_parallel import Group
    engine = in_the_middle(kernels=kernels)
    pid, collective, seen = processes(engine)[0], Group.all_reduce, []

    def killing(group, x):
        seen.append(x)
        if len(seen) == 4:
            os.kill(pid, signal.SIGKILL)
        return collective(group, x)

    monkeypatch.setattr(Group, "all_reduce", killing)
    must_end(engine, WorkerDiedError, r"rank 1 \(process \d+\) died with exit code -9")
    assert 4 <= len(seen) < 9


def test_four_ranks_and_the_one_that_hangs(tmp_path):
    """The other two wait as rank 0 does, and are not to blame."""
    from impl.llm import LLM
    from reference.checkpoint.random_model import write_random_model
    write_random_model(tmp_path, {"num_key_value_heads": 4})
    llm, alone = [LLM(str(tmp_path), dtype="float32", **CROWDED, **more) for more in ({"tensor_parallel_size": 4, "distributed_timeout_seconds": 5.0}, {})]
    prompts, greedy = [{"prompt_token_ids": token_ids} for token_ids in reference_prompts()[:5]], SamplingParams(temperature=0, max_tokens=8)
    mine, expected = [[output.outputs[0].token_ids for output in engine.generate(prompts, greedy)] for engine in (llm, alone)]
    assert mine == expected
    os.kill(processes(llm)[1], signal.SIGSTOP)
    llm.engine.add_request("a", "The", greedy)
    must_end(llm, WorkerHungError, r"rank 2 let the others wait for more than 5 s.*raise distributed_timeout_seconds")


def test_a_rank_at_another_step(engine):
    engine.engine.model_runner.number += 1
    must_end(engine, StepMismatchError, "rank 1 is at step 4, rank 0 at step 5")


def test_a_rank_with_other_tokens(engine):
    engine.engine.model_runner.known["b"] += 1      # so it is not told of one
    must_end(engine, StepMismatchError, "rank 1 would compute other tokens than rank 0 in step 4")


@pytest.mark.parametrize("kernels", [False, KERNELS])
def test_an_error_at_rank_0_ends_the_others(kernels, monkeypatch):
    """As they would wait for a step that never comes to its end. With kernels, a step is in flight, and ends with them."""
    engine = in_the_middle(kernels=kernels, async_scheduling=kernels)
    pids = processes(engine)
    monkeypatch.setattr(engine.engine.model_runner.model_runner.model, "forward", lambda *_: 1 / 0)
    with pytest.raises(WorkerDiedError if kernels else ZeroDivisionError, match="a step failed at rank 0" if kernels else None):
        engine.engine.step()
    assert not any(map(lives, pids))
    with pytest.raises(WorkerDiedError, match="a step failed at rank 0"):
        engine.engine.step(), engine.engine.step()


@pytest.mark.parametrize("kernels", [KERNELS])
def test_where_each_rank_chooses_a_grammar_is_refused(kernels):
    """It cannot travel. Where rank 0 alone chooses, it does not have to."""
    from impl.grammar_compiler import InvalidGrammarError
    asked = SamplingParams(max_tokens=5, structured_outputs={"choice": ["yes", "no"]})
    choosing, alone = two_ranks("qwen3", kernels=kernels), two_ranks("qwen3")
    with pytest.raises(InvalidGrammarError, match="each rank chooses the tokens.*tensor_parallel_size=1"):
        choosing.engine.add_request("a", "Is it?", asked)
    assert not choosing.engine.has_unfinished_requests()
    assert alone.generate("Is it?", asked)[0].outputs[0].text in ("yes", "no")


def test_the_monitor_ends_a_wait_that_takes_too_long_or_has_lost_its_rank():
    """On a GPU nothing else would."""
    from multiprocessing import Pipe
    from threading import Event
    from impl.worker_monitor import WorkerMonitor

    def ended(patience: float, speaks: bool, stops: bool) -> tuple[bool, bool]:
        """Whether a wait was ended, and whether a rank was blamed for it. A wait before ended in time."""
        ours, theirs = Pipe()
        aborted = Event()
        monitor = WorkerMonitor(aborted.set)
        monitor.start([ours])
        with monitor.waiting(0.3):
            pass
        assert not monitor.lost_within(0.6)
        with monitor.waiting(patience):
            if speaks:
                theirs.send("something")
            if stops:
                monitor.stop()
            return aborted.wait(1.5), monitor.lost

    assert ended(0.3, False, False) == ended(60.0, True, False) == (True, True)
    assert ended(60.0, False, True) == (True, False)
    assert ended(60.0, False, False) == (False, False)


def test_nothing_is_left_of_an_engine_that_is_forgotten():
    llm = two_ranks("llama")
    pids = processes(llm)
    del llm
    gc.collect()
    assert not any(map(lives, pids))


DRIVER = """
import os, sys, time
from impl import LLM, runner_setup

def hang(*_, **__):
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    LLM(sys.argv[1], dtype="float32", tensor_parallel_size=2, num_gpu_blocks_override=9, max_model_len=64)
else:   # in the process of rank 1, which imports this script as well
    runner_setup.load_model = hang
"""


def test_a_rank_ends_with_the_driver(tmp_path):
    """Also one that hangs, so that it does not see its pipe closed."""
    (tmp_path / "driver.py").write_text(DRIVER)
    driver = subprocess.Popen([sys.executable, str(tmp_path / "driver.py"), folder("llama")], stdout=subprocess.PIPE, text=True,
                              env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])})
    pid = int(driver.stdout.readline())
    assert lives(pid)
    driver.kill()
    driver.wait()
    driver.stdout.close()
    until = time.monotonic() + SOON
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not lives(pid)


@pytest.mark.parametrize("arguments, says", [
    ({"tensor_parallel_size": 4}, "tensor_parallel_size=4: num_key_value_heads=2"), ({"tensor_parallel_size": 3}, "tensor_parallel_size=3: num_attention_heads"),
    ({"tensor_parallel_size": 0}, "must be at least 1"), ({"distributed_timeout_seconds": 0}, "must be positive"),
    ({"device": "cuda"}, "tensor_parallel_size=2: there are 1 GPUs here"), ({"device": "cuda:0"}, "each rank has a GPU of its own; choose device='cuda'")])
def test_what_cannot_be_divided_is_refused(arguments, says, monkeypatch):
    """Nor can one GPU."""
    import torch
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InvalidConfigError, match=says):
        two_ranks("llama", **arguments)


def test_a_rank_that_cannot_start_is_named(monkeypatch):
    """The checkpoint goes away between rank 0's reading it and rank 1's."""
    from impl import multiproc_executor
    start = multiproc_executor._start
    monkeypatch.setattr(multiproc_executor, "_start", lambda group, port, timeout, setup: start(group, port, timeout, replace(setup, folder=Path("/nowhere"))))
    with pytest.raises(WorkerDiedError, match="rank 1 ended with CheckpointError: /nowhere"):
        two_ranks("llama")
