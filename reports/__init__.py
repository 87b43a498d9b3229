"""What happened in a run of the suite: written down while it runs, and shown afterwards. Imports no engine."""
