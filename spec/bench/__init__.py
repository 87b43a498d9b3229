"""The bench: how a claim is asked of two engines, and what the answer is."""
