"""Answers to drills: a file each, the learner's or one that is here. A kernel runs in a process of its own."""
import importlib.util
import multiprocessing
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

SECONDS = 120    # after which an answer is said to hang; the interpreter is slow


class AnswerCrashed(Exception):
    """The process in which an answer ran has died, or does not end."""


def load(path: Path) -> ModuleType:
    """An answer as a module, fresh."""
    if path.suffix == ".cu":
        from drills import cuda
        return cuda.load(path)
    spec = importlib.util.spec_from_file_location(f"answer_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Isolated:
    """An answer in a process of its own, for what may read or write where it should not.

    Its functions are called as if they were here. Tensors travel there and back, also those that are changed in place;
    on a machine with a GPU, they are on it there. An exception there is raised here; a crash or a hang is an
    `AnswerCrashed`, after which the next call starts anew.
    """

    def __init__(self, path: Path):
        self._path, self._pipe, self._process = path, None, None

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **named: self._call(name, args, named)

    def _call(self, name: str, args: tuple, named: dict):
        if self._process is None:
            self._start()
        self._pipe.send((name, args, named))
        if not self._pipe.poll(SECONDS):
            self._stop()
            raise AnswerCrashed(f"{name} has not returned after {SECONDS} s: look for a loop that does not end")
        try:
            result, after, error = self._pipe.recv()
        except EOFError:
            code = self._stop()
            raise AnswerCrashed(f"{name} killed its process (exit code {code}): look for a load or store without a mask, or with a wrong index") from None
        if error is not None:
            error.add_note(f"in {self._path.name}, which runs in a process of its own")
            raise error
        _copy_back((args, named), after)
        return result

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["kernels", "torch", "triton"])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(str(self._path), theirs), daemon=True)
        self._process.start()
        theirs.close()

    def _stop(self) -> int | None:
        """Ends the process, if it has not ended; returns its exit code."""
        self._process.join(1)
        self._process.kill()
        self._process.join()
        code, self._process = self._process.exitcode, None
        self._pipe.close()
        return code


def _serve(path: str, pipe: Connection) -> None:
    """The other process: answers calls until nobody asks any more."""
    import kernels
    import torch
    torch.set_num_threads(1)
    guards = Guards("cuda" if kernels.has_gpu() else "cpu")
    module, broken = None, None
    try:
        module = load(Path(path))
    except Exception as error:
        broken = error
    while True:
        try:
            name, args, named = pipe.recv()
        except EOFError:
            return
        try:
            if broken:
                raise broken
            args, named = _each(args, guards.around), _each(named, guards.around)
            with guards:
                result = getattr(module, name)(*args, **named)
            pipe.send((*(_each(value, lambda tensor: tensor.cpu()) for value in (result, (args, named))), None))
        except Exception as error:
            pipe.send((None, None, _sendable(error, path)))


class Guards:
    """Tensors with a known pattern before and behind them, which is looked at after a call: a store beyond the end shows.

    What an answer allocates by torch.empty, empty_like, zeros or zeros_like is guarded like its arguments, and the empty
    ones are full of NaN or of a hopeless index, so that a number that was never written shows too.
    """

    MARGIN, PATTERN = 4096, 0x5A    # elements on either side, and the byte they are made of

    def __init__(self, device: str):
        import torch
        self.torch, self.empty, self.device = torch, torch.empty, device
        self.guarded: list[tuple] = []
        self.originals = {name: getattr(torch, name) for name in ("empty", "zeros", "empty_like", "zeros_like")}

    def around(self, tensor):
        """A guarded copy, on the device; a view with gaps keeps them, which `to` does not."""
        if tensor.is_contiguous():
            return self._allocate(tensor.shape, tensor.dtype).copy_(tensor)
        reach = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride()))
        return self._allocate((reach,), tensor.dtype).as_strided(tensor.shape, tensor.stride()).copy_(tensor)

    def _allocate(self, shape, dtype):
        size = self.torch.Size(shape).numel()
        whole = self.empty(size + 2 * self.MARGIN, dtype=dtype, device=self.device)
        whole.view(self.torch.uint8).fill_(self.PATTERN)
        self.guarded.append((whole, size))
        return whole[self.MARGIN:self.MARGIN + size].view(shape)

    def _fresh(self, *shape, dtype=None, device=None, fill=None):
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        tensor = self._allocate(shape, dtype or self.torch.get_default_dtype())
        poison = float("nan") if tensor.dtype.is_floating_point else True if tensor.dtype == self.torch.bool else self.torch.iinfo(tensor.dtype).max
        return tensor.fill_(poison if fill is None else fill)

    def __enter__(self):
        self.torch.empty = self._fresh
        self.torch.zeros = lambda *shape, **named: self._fresh(*shape, **named, fill=0)
        self.torch.empty_like = lambda like, dtype=None, **_: self._fresh(like.shape, dtype=dtype or like.dtype)
        self.torch.zeros_like = lambda like, dtype=None, **_: self._fresh(like.shape, dtype=dtype or like.dtype, fill=0)

    def __exit__(self, kind, *_):
        for name, original in self.originals.items():
            setattr(self.torch, name, original)
        guarded, self.guarded = self.guarded, []
        for whole, size in guarded if kind is None else ():
            data = whole.view(self.torch.uint8)
            margin = self.MARGIN * whole.element_size()
            for where, guard in (("before the beginning", data[:margin]), ("beyond the end", data[len(data) - margin:])):
                if (guard != self.PATTERN).any():
                    raise IndexError(f"something was stored {where} of a tensor of {size} numbers: is there a mask on every store?")


def _each(value, change):
    """The same value with every tensor in it changed."""
    import torch
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, tuple | list):
        return type(value)(_each(one, change) for one in value)
    return {key: _each(one, change) for key, one in value.items()} if isinstance(value, dict) else value


def _copy_back(here, there) -> None:
    """What the answer changed in place is changed here too."""
    import torch
    if isinstance(here, torch.Tensor):
        if not _same(here, there):
            here.copy_(there)
    elif isinstance(here, dict):
        for key, value in here.items():
            _copy_back(value, there[key])
    elif isinstance(here, tuple | list):
        for one, other in zip(here, there):
            _copy_back(one, other)


def _same(one, other) -> bool:
    """Bit for bit, so that NaN is NaN."""
    import torch
    return torch.equal(one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8)) if one.numel() else True


def _sendable(error: Exception, path: str) -> Exception:
    """Triton wraps what went wrong in a kernel: the cause is what helps, with the place in the answer."""
    root, frames = error, traceback.extract_tb(error.__traceback__)
    while root.__cause__ is not None:
        root = root.__cause__
        frames += traceback.extract_tb(root.__traceback__)
    place = next((f" ({Path(path).name}, line {frame.lineno}: {frame.line})" for frame in reversed(frames) if frame.filename == path), "")
    kinds = NotImplementedError | ValueError | TypeError | IndexError | AssertionError | NameError | AttributeError
    if isinstance(root, NotImplementedError):
        return NotImplementedError(str(root))
    return type(root)(f"{root}{place}") if isinstance(root, kinds) else RuntimeError(f"{type(root).__name__}: {root}{place}")
