"""The bug museum: real bugs put into impl, each of which some claim must notice."""
