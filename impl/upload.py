"""Small arrays to the device, in one copy that nobody waits for."""
import numpy
import torch

ALIGNED = 16    # bytes, and entries of a table: Triton compiles a kernel once for addresses and strides that are multiples of 16, and again for others


def upload(arrays: list[numpy.ndarray], device: torch.device | str) -> list[torch.Tensor]:
    """The same numbers there, each array in its own type. From pinned memory, or the copy would first wait for all that the device has to do."""
    starts = numpy.cumsum([0, *(-(-array.nbytes // ALIGNED) * ALIGNED for array in arrays)]).tolist()
    packed = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=torch.device(device).type == "cuda")
    view = packed.numpy()
    for array, start in zip(arrays, starts):
        view[start:start + array.nbytes] = numpy.ascontiguousarray(array).view(numpy.uint8).ravel()
    there = packed.to(device, non_blocking=True)
    return [there[start:start + array.nbytes].view(getattr(torch, array.dtype.name)).view(array.shape) for array, start in zip(arrays, starts)]
