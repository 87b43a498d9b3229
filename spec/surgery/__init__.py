"""Claims about what lies deeper in the real scheduler, and what came out of the experiments."""
