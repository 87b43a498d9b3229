"""The gym under the lab: exercises, each with a judge. `python -m drills` is its door."""
