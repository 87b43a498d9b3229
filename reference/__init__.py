"""How an engine is observed, and the real one to compare with."""
