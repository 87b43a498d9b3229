"""Files such as pytest-benchmark writes, with numbers that the tests know."""
import json

from reports import benchmark_runs

EPYC = {"machine": "x86_64", "system": "Linux", "release": "6.1", "python_version": "3.11.7", "cpu": {"brand_raw": "AMD EPYC", "count": 2}}
DECODING = {4: (31_000.5, 9_000.25), 64: (4_700.0, 1_500.0), 1024: (95.125, 100.0)}     # by size, our steps a second and vLLM's: the last is a loss


def one(name, size, extra, **params):
    params = {**params, "size": size} if size is not None else params
    return {"name": f"{name}[{size}]", "fullname": f"spec/benchmarks/bench_x.py::{name}[{size}]", "group": None, "params": params or None,
            "extra_info": extra, "stats": {"median": 0.25, "rounds": 11}}


def decoding(factor=1.0):
    return [one("test_decoding", size, {"ours steps/s": ours * factor, "vLLM steps/s": vllm, "ratio": ours * factor / vllm, "ours spread": 0.125})
            for size, (ours, vllm) in DECODING.items()]


ATTENTION = [one("test_attention", size, {"of ceiling": share, "vLLM of ceiling": 0.5, "TB/s": share * 4.25, "ratio to vLLM": share * 2, "gpu": "NVIDIA H200"},
                 dtype="bf16") for size, share in ((4096, 0.75), (16_384, 0.875))]
START = one("test_time_to_the_first_token", None, {"seconds": 3.5})


def session(folder, name="bench.json", found=(*decoding(), *ATTENTION, START), when="2026-11-23T02:10:00+00:00", machine=EPYC, **more):
    path = folder / name
    path.write_text(json.dumps({"machine_info": machine, "commit_info": {"id": "fedcba9876543210", "dirty": False}, "benchmarks": list(found),
                                "datetime": when, "version": "5.2.3"} | more))
    return benchmark_runs.read_session(path)
