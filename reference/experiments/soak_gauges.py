"""What is read off an engine in the soak: the size of everything in it that could grow, its blocks, and the memory of the process."""
import gc
import os
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import torch

CONTAINERS = (dict, list, set, deque)


def containers(engine: object) -> dict[str, int]:
    """How many entries each container has that the engine, or an object of `impl` in it, holds: by path. A new one is found by itself."""
    sizes, seen, todo = {}, {id(engine)}, deque([("", engine)])
    while todo:
        path, each = todo.popleft()
        for name, value in _attributes(each):
            if isinstance(value, CONTAINERS):
                sizes[path + name] = len(value)
            elif type(value).__module__.startswith("impl.") and not isinstance(value, torch.nn.Module) and id(value) not in seen:
                seen.add(id(value))
                todo.append((f"{path}{name}.", value))
    return sizes


def left_behind(fresh: dict[str, int], now: dict[str, int], config) -> list[str]:
    """What a drained engine still has that a new one has not. Its cache may be full, its rows as many as ever ran at once, and an empty step in flight."""
    may_have = {"scheduler.block_manager.pool.cached_blocks": config.num_blocks - 1, "model_runner.block_tables.free_rows": 4 * config.max_num_seqs,
                "in_flight": 1, "scheduler.in_flight": 1}
    return [f"{path} has {size} entries, and {fresh.get(path, 0)} in a new engine" for path, size in now.items()
            if size != fresh.get(path, 0) and size > may_have.get(path, -1)]


def _attributes(each: object) -> Iterator[tuple[str, object]]:
    yield from getattr(each, "__dict__", {}).items()
    for kind in type(each).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        yield from ((name, getattr(each, name)) for name in ([slots] if isinstance(slots, str) else slots) if hasattr(each, name))


def wrong_blocks(scheduler) -> list[str]:
    """What cannot be true of the blocks at any time: each is free, or held by as many tables as it counts."""
    manager, pool = scheduler.block_manager, scheduler.block_manager.pool
    wrong, held, free = [], {}, {block.block_id for block in pool.free_queue}
    for table in manager.block_tables.values():
        for block in table:
            held[block.block_id] = held.get(block.block_id, 0) + 1
    for block in pool.blocks:
        if block is not pool.null_block and (block.ref_cnt != held.get(block.block_id, 0) or (block.block_id in free) != (block.ref_cnt == 0)):
            wrong.append(f"block {block.block_id} counts {block.ref_cnt} holders, {held.get(block.block_id, 0)} tables have it, "
                         f"and it is {'free' if block.block_id in free else 'not free'}")
    in_cache = sum(map(len, pool.cached_blocks.values()))
    hashed = sum(block.block_hash is not None for block in pool.blocks)
    if len(wrong) > 1:      # one cause has many
        wrong = [f"{len(wrong)} blocks are wrong; {wrong[0]}"]
    return wrong + ([f"the prefix cache has {in_cache} blocks, and {hashed} have a hash"] if in_cache != hashed else [])


def sizes_now(engine) -> dict[str, int | float | None]:
    """The gauges of a moment."""
    scheduler, pool = engine.scheduler, engine.scheduler.block_manager.pool
    return {"waiting": len(scheduler.waiting), "running": len(scheduler.running), "free blocks": pool.num_free_blocks,
            "held blocks": pool.num_blocks - 1 - pool.num_free_blocks, "cached blocks": sum(map(len, pool.cached_blocks.values())), "resumed": scheduler.block_manager.stats.preempted_requests, **memory(engine)}


def memory(engine) -> dict[str, float | None]:
    """In MB: of the process, and of the device what is in use and what torch has taken; None where there is no such thing."""
    device = engine.model_runner.device
    on_gpu = device.type == "cuda"
    return {"process MB": _resident() / 1e6,
            "device MB": torch.cuda.memory_allocated(device) / 1e6 if on_gpu else None, "device reserved MB": torch.cuda.memory_reserved(device) / 1e6 if on_gpu else None}


def yardstick() -> float:
    """Milliseconds of a piece of Python that is always the same: how fast the machine is just now."""
    began = perf_counter()
    sum(number % 7 for number in range(20_000))
    return round(1e3 * (perf_counter() - began), 3)


def objects() -> int:
    """Pieces of memory that Python has given out, once the garbage is away. Exact, where megabytes are not: small caches apart it stays as it is."""
    gc.collect()
    return sys.getallocatedblocks()


def compiled_kernels() -> int:
    """Variants that Triton has compiled of our kernels in this process; none where torch computes, or the interpreter."""
    kernels = {id(each): each for name, module in list(sys.modules.items()) if name.startswith("kernels.")
               for each in vars(module).values() if hasattr(each, "device_caches")}
    return sum(len(variants) for kernel in kernels.values() for variants, *_ in kernel.device_caches.values())


def _resident() -> int:
    """Bytes of the process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
