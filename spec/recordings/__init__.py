"""The recordings of vLLM are what the real vLLM does."""
