"""Claims that came out of the experiments (`reference/experiments`): what was found there, small enough to be asked every time."""
