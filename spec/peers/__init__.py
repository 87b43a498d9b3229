"""Engines in each other's company: how much of vLLM each of them does, and what each idea on the way to vLLM buys."""
