"""Claims about what lies deeper in the real scheduler."""
