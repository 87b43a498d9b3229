"""What does it save to decide the next step before the last one's tokens are known, and what does it cost?

The cost is exact: steps, and tokens that are computed in vain, counted in the schedulers' decisions. The gain is measured: how long
the device waits between two steps, and how long it has nothing to do at all, in whole engines that decode. The same command works on a GPU.
"""
import tempfile
from itertools import product
from pathlib import Path
from time import perf_counter

from reference.experiments.both import computed_tokens, generated_tokens, runs
from reference.experiments.memory import Shape
from reference.experiments.record import Record, arguments, engines_here, progress
from reference.prompts import CHECKPOINTS
from reference.checkpoint.random_model import write_random_model
from reference.trace import Run
from reference.vllm_scheduler import installed_device
from reference.workload import EOS, Workload, workload

NUM_REQUESTS = 8
SEATS = [1, 2, 4, 8]
ORDERS = {False: "one by one", True: "overlapped"}
COLUMNS = ("ms of a step", "device works, ms", "waits between two, ms", "idle", "tokens/s")
LIMITS = {"block_size": 32, "num_gpu_blocks_override": 257, "max_model_len": 256, "max_num_seqs": 64, "max_num_batched_tokens": 2048}
EAGER = {"enforce_eager": True}
GRAPHS = {"compilation_config": {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY", "cudagraph_capture_sizes": [1, 8, 64]}}
ENGINES = {"cpu": {"impl": {}, "vllm": EAGER}, "cuda": {"impl": {}, "vllm": GRAPHS, "vllm, eager": EAGER}}
# By device and model: how many decode at once, tokens of each, and rounds, of which the fastest counts: a short one may find a quiet
# moment of the machine. The tiny model's times say little on a GPU.
CASES = {"cpu": {"tiny": ([1, 8, 32], 30, 40), "70M": ([8], 20, 12)}, "cuda": {"0.6B": ([1, 8, 64], 40, 3), "tiny": ([8], 40, 3)}}
SHAPES = {"70M": (Shape(num_hidden_layers=4, vocab_size=8192, max_position_embeddings=1024), "float32"), "0.6B": (Shape(), "bfloat16")}


def served(ending_early: int, seats: int = NUM_REQUESTS) -> Workload:
    """Eight requests of different lengths, of which so many end by a token, EOS; so many are served at once."""
    asked = workload(num_blocks=400, max_num_seqs=seats, max_num_batched_tokens=256)
    for number in range(NUM_REQUESTS):
        asked = asked.request(f"r{number}", prompt=8, max_tokens=12 + number, says={6 + number: EOS} if number < ending_early else None)
    return asked


def overlapped(plain: Workload) -> Workload:
    return plain.with_config(async_scheduling=True)


def cost(plain: Run, run: Run) -> dict[str, int]:
    """What the same requests take one by one, and how much more with the steps overlapped. Raises `ValueError` if they say something else."""
    if plain.outputs != run.outputs:
        raise ValueError(f"{plain.engine} says something else with its steps overlapped: {plain.workload.source()}")
    return {"tokens told": generated_tokens(plain), "steps": len(plain.steps), "steps more": len(run.steps) - len(plain.steps),
            "tokens computed": computed_tokens(plain), "tokens in vain": computed_tokens(run) - computed_tokens(plain)}


def placeholders(run: Run, request_id: str) -> list[list]:
    """By step: the positions that are computed for a request, how many of its tokens were known then, and what the step's update told."""
    known, rows = run.workload.requests[0].num_prompt_tokens, []
    for step in run.steps:
        share, told = step.of(request_id), [token for done in step.outputs if done.request_id == request_id for token in done.new_token_ids]
        first = share.num_computed_tokens if share else None
        last = first + share.num_tokens - 1 if share else None
        rows.append([step.index, f"{first} to {last}" if share else "none", known, max(0, last + 1 - known) if share else 0,
                     "EOS" if EOS in told else len(told)])
        known += len(told)
    return rows


def tell_costs(record: Record, engines: list[str]) -> None:
    """The exact part: two knobs, and one request step by step."""
    by_ends = {count: _costs(served(count), engines) for count in range(NUM_REQUESTS + 1)}
    _tell(record, f"{NUM_REQUESTS} requests at once, some of which end by EOS", "ends by EOS", engines, by_ends, "tokens in vain")
    for ending_early, named in ((0, "length"), (NUM_REQUESTS, "EOS")):
        by_seats = {seats: _costs(served(ending_early, seats), engines) for seats in SEATS}
        _tell(record, f"{NUM_REQUESTS} requests, all of which end by {named}, and fewer seats", "seats", engines, by_seats, "steps more")
    short = workload(num_blocks=12).request("a", prompt=4, max_tokens=9, says={3: EOS})
    for title, asked in (("one by one", short), ("overlapped", overlapped(short))):
        for engine, run in runs(asked, engines).items():
            record.table(f"A prompt of 4 tokens whose third token is EOS, {title}, {engine}",
                         ["step", "positions computed", "tokens known", "placeholders computed", "tokens told"], placeholders(run, "a"))


def _costs(asked: Workload, engines: list[str]) -> dict[str, dict[str, int]]:
    plain, run = runs(asked, engines), runs(overlapped(asked), engines)
    return {engine: cost(plain[engine], run[engine]) for engine in engines}


def _tell(record: Record, title: str, knob: str, engines: list[str], seen: dict[int, dict[str, dict[str, int]]], shown: str) -> None:
    columns = list(seen[SEATS[0]][engines[0]])
    record.table(title, [f"{knob}, engine", *columns], [
        [f"{place}, {engine}", *costs[engine].values()] for place, costs in seen.items() for engine in engines])
    record.plot(f"{title}: {shown}", knob, shown, list(seen), [
        {"label": shown, "engine": engine, "values": [costs[engine][shown] for costs in seen.values()]} for engine in engines])


def tell_gaps(record: Record, name: str, model: Path, dtype: str, engines: dict[str, dict], until: float) -> None:
    """The measured part: one model in all engines, in both orders."""
    sizes, found = CASES[installed_device()][name][0], {}
    for engine, more in engines.items():
        with record.part(f"{name}, {engine}"):
            if perf_counter() > until:
                raise TimeoutError("not begun: the time was over (see --seconds)")
            measure(record, found, engine, model, LIMITS | {"dtype": dtype} | more, name)
    record.table(f"{name}, {dtype}: a step in which all decode", ["engine, requests, steps", *COLUMNS], [
        [f"{engine}, {size}, {ORDERS[order]}", seen.step, seen.busy, seen.between, seen.idle, size / seen.step * 1e3]
        for (engine, size, order), seen in found.items()])
    if len(sizes) > 1:
        record.plot(f"{name}: the device has nothing to do", "requests that decode", "share of the time", sizes, [
            {"label": ORDERS[order] + (", eager" if "eager" in engine else ""), "engine": engine.partition(",")[0],
             "values": [found[engine, size, order].idle if (engine, size, order) in found else None for size in sizes]}
            for engine, order in product(engines, ORDERS)], log=True)


def measure(record: Record, found: dict, engine: str, model: Path, limits: dict, name: str) -> None:
    """Put a `Gap` into `found` by engine, requests and order. Each size has a run that warms up, and both orders take turns."""
    from reference.experiments.device_gap import Engine, Gap, fastest, gap, step_of      # torch, and vLLM's environment
    sizes, tokens, rounds = CASES[installed_device()][name]
    engines = {order: Engine(engine.partition(",")[0], model, order, **limits) for order in ORDERS}
    for size in sizes:
        taken: dict[bool, list] = {order: [] for order in ORDERS}
        for number, order in product(range(rounds + 1), ORDERS):
            progress(f"{name}, {engine}: {size} requests, round {number} of {rounds}")
            taken[order].append(engines[order].decode(size, tokens))
        for order in ORDERS:
            spans = fastest(taken[order][1:])
            found[engine, size, order] = Gap(step_of(spans))
            with record.part(f"{name}, {engine}, {size} requests, {ORDERS[order]}: the device's work"):
                found[engine, size, order] = gap(engines[order], size, tokens, spans)


def main() -> None:
    parser = arguments("async_gap", __doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, help="no further measurement is begun then (default: 80 on a GPU, 600 on a CPU)")
    asked, device = parser.parse_args(), installed_device()
    until = perf_counter() + (asked.seconds or {"cpu": 600, "cuda": 80}[device])
    record, here = Record("async_gap", __doc__.splitlines()[0], device), engines_here()
    with record.part("decisions"):
        tell_costs(record, here)
    engines = {engine: more for engine, more in ENGINES[device].items() if engine.partition(",")[0] in here}
    for name in CASES[device]:
        with tempfile.TemporaryDirectory() as folder, record.part(name):
            model, dtype = CHECKPOINTS / "qwen3", "float32"
            if name in SHAPES:
                shape, dtype = SHAPES[name]
                model = Path(folder)
                write_random_model(model, shape.config(), dtype)
            tell_gaps(record, name, model, dtype, engines, until)
        record.write(asked.out)     # what is there is there, should the next model take too long


if __name__ == "__main__":
    main()
