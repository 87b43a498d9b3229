"""The bench: how a claim is asked of two engines, and what the answer is.

A file of claims needs one line: `from spec.bench import EOS, claim, workload`, or
`from spec.bench import claim, prompts` where a model writes.
"""
from reference.prompts import prompts
from reference.workload import EOS, workload
from spec.bench.claim import claim

__all__ = ["EOS", "claim", "prompts", "workload"]
