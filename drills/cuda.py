"""Answers in CUDA C++, files that end in .cu: compiled when they are judged, by nvcc and for the GPU that is here.

Such a file defines `void` and the drill's name, with torch::Tensor arguments. If the first is called `out`, it gets a new
tensor like the second, which is what a call from Python returns.
"""
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from kernels import has_gpu


@cache
def lacking() -> str | None:
    """Why no answer in CUDA C++ can be judged here, or None."""
    if has_gpu():
        from torch.utils.cpp_extension import CUDA_HOME
        if CUDA_HOME and Path(CUDA_HOME, "bin", "nvcc").exists():
            return None
    return "needs an NVIDIA GPU and nvcc"


def load(path: Path) -> SimpleNamespace:
    """The answer, compiled; what is compiled already is only loaded. Raises `RuntimeError` with what nvcc says."""
    import torch
    from torch.utils.cpp_extension import load_inline
    name, source = path.parent.name if path.stem in ("stub", "solution") else path.stem, path.read_text()
    head = re.search(rf"^void {name}\([^)]*\)", source, re.MULTILINE)
    if not head:
        raise RuntimeError(f"{path} has no line that begins with void {name}(")
    function = getattr(load_inline(f"answer_{name}_{path.stem}", cpp_sources=[f"{head[0]};"], cuda_sources=[source], functions=[name]), name)

    def returning(x, *rest):
        out = torch.empty_like(x)
        function(out, x, *rest)
        return out

    return SimpleNamespace(**{name: returning if "(torch::Tensor out," in head[0] else function})
