"""The real vLLM with two ranks on the CPU: what it says, and the collectives that it takes.

`python -m reference.vllm_ranks llama FILE` asks it, which takes a minute, and puts the answers under the model's name into FILE:
the spec keeps them in spec/engine/vllm_two_ranks.json. On a machine with one NUMA node vLLM wants to be told where each rank's
threads belong, and refuses two ranks otherwise.
"""
import argparse
import json
import os
from pathlib import Path

import reference.checkpoint
from reference.prompts import MODELS
from reference.vllm_scheduler import QUIET

# No prompt comes in chunks: beside a seed they crash vLLM on a CPU.
LIMITS = {"num_gpu_blocks_override": 17, "block_size": 32, "max_model_len": 256, "max_num_batched_tokens": 512, "max_num_seqs": 4}
ALONE = list(range(7, 12))      # one prompt of five tokens, for one token: one step, and its collectives
COLLECTIVES = ("all_reduce", "all_gather", "gather", "reduce_scatter", "broadcast")
ASKED = [{"temperature": 0}, {"temperature": 0.8, "seed": 1}] * 5


def prompts() -> list[list[int]]:
    """Ten, from one token to 71; the last two begin like the one before them."""
    apart = [list(range(5 + number, 6 + number + 10 * number)) for number in range(8)]
    return [*apart, apart[-1][:64] + [400, 401, 402], apart[-1][:40] + [500]]


def count(worker) -> None:
    """In a rank's process: note each collective from now on."""
    from vllm.distributed.parallel_state import get_tp_group
    group, worker.collectives = get_tp_group(), []
    for name in COLLECTIVES:
        def noted(x, *arguments, name=name, collective=getattr(group, name), **options):
            worker.collectives.append([name, list(x.shape)])
            return collective(x, *arguments, **options)
        setattr(group, name, noted)


def noted(worker) -> list:
    return worker.collectives


def ask(model: str) -> dict:
    os.environ.update(QUIET | {"VLLM_ALLOW_INSECURE_SERIALIZATION": "1",      # a function goes to the ranks
                               "VLLM_CPU_OMP_THREADS_BIND": "|".join(map(str, sorted(os.sched_getaffinity(0))[:2]))})
    from vllm import LLM, SamplingParams, __version__
    llm = LLM(str(Path(reference.checkpoint.__file__).parent / model), dtype="float32", tensor_parallel_size=2, enforce_eager=True, async_scheduling=False, **LIMITS)
    llm.collective_rpc(count)
    llm.generate({"prompt_token_ids": ALONE}, SamplingParams(temperature=0, max_tokens=1))
    collectives = llm.collective_rpc(noted)
    outputs = llm.generate([{"prompt_token_ids": token_ids} for token_ids in prompts()],
                           [SamplingParams(max_tokens=24, ignore_eos=True, logprobs=0, **params) for params in ASKED])
    said = [{"token_ids": list(done.token_ids), "logprobs": [position[token_id].logprob for position, token_id in zip(done.logprobs, done.token_ids)]}
            for done in (output.outputs[0] for output in outputs)]
    return {"vllm": __version__, "collectives": collectives, "said": said}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m reference.vllm_ranks", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    known = json.loads(options.file.read_text()) if options.file.exists() else {}
    answers = ask(options.model)
    lines = [f"{json.dumps(model)}: {json.dumps(told)}" for model, told in sorted((known | {options.model: answers}).items())]
    options.file.write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
