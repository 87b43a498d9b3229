"""What the commands about kernels have in common, `make trials` and `make profile`: who is asked for, and the file that is left."""
import json
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from kernels import has_gpu
from spec.benchmarks.contest import Case
from spec.benchmarks.gpu_time import provenance
from spec.benchmarks.kernel_cases import cases_named

RUNS = Path(__file__).parents[2] / "reports" / "runs"


def parser_of(module: str, description: str) -> ArgumentParser:
    parser = ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="beginnings of the benchmark's kernels; all if none is given")
    parser.add_argument("-o", "--output", type=Path, help="where to write it down; a file in reports/runs if none is given")
    return parser


def parse(parser: ArgumentParser, argv: list[str] | None, cases: list[Case]) -> Namespace:
    """What was asked, and as `cases` those of `cases` that it is about. Ends the program where there is no such kernel, or no GPU."""
    asked = parser.parse_args(argv)
    try:
        asked.cases = cases_named(asked.kernels, cases)
    except ValueError as error:
        parser.error(str(error))
    if not has_gpu():
        raise SystemExit(f"{parser.prog} needs an NVIDIA GPU: run it on a machine that has one")
    return asked


def write(kind: str, parser: ArgumentParser, asked: Namespace, gpu: str, **measured) -> None:
    """Everything `measured`, with where and when, as JSON. A list of rows takes a line for each."""
    output = asked.output or RUNS / time.strftime(f"{kind}-%Y%m%d-%H%M%S.json")
    record = {"gpu": gpu, **provenance(), "command": " ".join([parser.prog, *map(repr, asked.kernels)]),
              "date": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()), **measured}
    lines = ",\n".join(f" {json.dumps(name)}: {_lines(value)}" for name, value in record.items())
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"written to {output}")


def _lines(value) -> str:
    return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n ]" if isinstance(value, list) else json.dumps(value)
