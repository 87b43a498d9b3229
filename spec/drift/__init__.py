"""Drift: the claims about the scheduler and the KV cache, asked of one release of vLLM after the other."""
