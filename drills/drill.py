"""A drill: a folder with a problem, a stub, hints, a judge, its solution, and wrong answers that the judge must reject."""
import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

DRILLS = Path(__file__).parent

# The order of the course.
TRACKS = {
    "data_structures": ["ring_buffer", "free_list", "block_pool", "lru_cache", "prefix_hash_chain", "radix_tree", "slot_mapping", "persistent_batch",
                        "priority_queue", "stop_string_trie", "grammar_bitmask", "bounded_heap", "cumulative_lengths", "sliding_window_freeing"],
    "classics": ["online_softmax", "merge_attention_states", "paged_gather_attention", "kv_cache_sizing", "longest_cached_prefix",
                 "continuous_batching_step", "chunked_prefill", "preemption", "sampling_filters", "gumbel_max", "penalties", "rejection_sampling",
                 "ngram_proposer", "rope_invariance", "gqa_packing", "incremental_detokenisation", "byte_pair_encoding", "cascade_attention",
                 "moe_routing", "tensor_parallel_linear"],
    "hpc": ["roofline", "honest_bandwidth", "flawed_benchmarks", "wave_quantisation", "graph_buckets", "host_synchronisations", "overlapping_copies",
            "vectorised_loop", "shared_memory_ring", "ring_all_reduce", "summation_order", "littles_law"],
    "kernels": ["vector_add", "softmax", "rms_norm", "fused_add_rms_norm", "silu_and_mul", "rope", "cache_write", "fp8_cache_write", "tiled_matmul",
                "split_k", "dequantising_gemv", "flash_attention", "paged_decode", "split_kv", "paged_prefill", "window_softcap_sinks",
                "vocabulary_argmax", "top_k", "merge_states", "moe_grouped_matmul"],
}


class UnknownDrillError(ValueError):
    """There is no drill of that name."""


@dataclass(frozen=True)
class Drill:
    track: str
    name: str

    @property
    def folder(self) -> Path:
        return DRILLS / self.track / self.name

    @property
    def problem(self) -> Path:
        return self.folder / "README.md"

    @property
    def hints(self) -> Path:
        return self.folder / "HINTS.md"

    @property
    def stub(self) -> Path:
        return self.folder / "stub.py"

    @property
    def solution(self) -> Path:
        return self.folder / "solution.py"

    @property
    def judge(self) -> Path:
        return self.folder / f"test_{self.name}.py"

    @property
    def wrong(self) -> list[Path]:
        return sorted(self.folder.glob("wrong_*.py"))

    @property
    def mine(self) -> Path:
        """Where the learner writes."""
        return mine() / self.track / f"{self.name}.py"

    @property
    def title(self) -> str:
        return self.problem.read_text().splitlines()[0].removeprefix("# ")

    @property
    def mirrors(self) -> list[str]:
        """What it mirrors in vLLM: `file::function`, as the problem names them."""
        return re.findall(r"`([\w/]+\.py::[\w.]+)`", self.problem.read_text())

    def hint(self, number: int) -> str | None:
        """The hint of that number, from 1, or None."""
        parts = re.split(r"^## .*\n", self.hints.read_text(), flags=re.MULTILINE)[1:]
        return parts[number - 1].strip() if number <= len(parts) else None


def mine() -> Path:
    """The learner's own answers. INFERLAB_MINE moves them, for tests of the gym."""
    return Path(os.environ.get("INFERLAB_MINE", DRILLS / "mine"))


def all_drills() -> list[Drill]:
    """Those that are there, in the order of the course."""
    return [drill for track, names in TRACKS.items() for name in names if (drill := Drill(track, name)).judge.exists()]


def find(name: str) -> Drill:
    """Raises `UnknownDrillError`."""
    drills = {drill.name: drill for drill in all_drills()}
    if name not in drills:
        close = difflib.get_close_matches(name, drills, n=3)
        raise UnknownDrillError(f"no drill {name!r}: " + (f"did you mean {' or '.join(close)}?" if close else "python -m drills list names them all"))
    return drills[name]
