"""The whole engine: the same prompts give the same tokens as the real vLLM."""
