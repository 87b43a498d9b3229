"""Benchmarks: the one place where a time may be asserted. `make bench` runs them."""
