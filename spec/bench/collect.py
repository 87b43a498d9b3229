"""All claims there are. The modules are imported, not parsed: a claim may be made by a helper, and importing them needs neither torch nor vLLM."""
import importlib
import pkgutil

from spec.bench.claim import ALL_CLAIMS, Claim

FOLDERS = ("spec.scheduler", "spec.kv_cache", "spec.surgery", "spec.engine", "spec.sampling")


def all_claims() -> list[Claim]:
    """Each claim, and each of its models', in the order of the files."""
    for folder in FOLDERS:
        for module in pkgutil.iter_modules(importlib.import_module(folder).__path__):
            importlib.import_module(f"{folder}.{module.name}")
    return ALL_CLAIMS


def node_id(claim: Claim) -> str:
    """What pytest calls its test; of a claim asked of several models, all of them."""
    return f"{claim.holds.__module__.replace('.', '/')}.py::{claim.name}"
