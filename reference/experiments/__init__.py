"""Experiments: what an engine does when one knob is turned, asked of vLLM and of `impl`, and written down.

`python -m reference.experiments` lists them. Each is a script, `python -m reference.experiments.NAME`, that ends in a
record which `python -m reports.experiments` shows; beside it lies `NAME.md`, which says what was seen and why.
"""
