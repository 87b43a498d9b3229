"""An exhibit: a bug that a real engine has had, or what an older engine did, as a change of impl's text."""
from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` must occur exactly once in its file, so that a change of impl cannot turn a mutant off unseen. A number in the story names the issue or
    pull request where the bug, or the old behaviour, can be read about."""

    name: str
    story: str      # what goes wrong, and where it was seen
    file: str       # in impl
    old: str
    new: str
