"""Claims about this repository itself: who imports whom, what is pinned, what CI does."""
