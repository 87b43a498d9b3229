"""The sampler: what it leaves of the logits, and what it draws from the rest, against vLLM's own."""
