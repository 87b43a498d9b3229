"""A trie whose paths without branches are one node each, with the time of the last use for eviction."""
from collections.abc import Iterator, Sequence


class _Node:
    """Some tokens, and what follows them."""

    def __init__(self, tokens: tuple[int, ...], parent: "_Node | None", used: int):
        self.tokens = tokens
        self.parent = parent
        self.children: dict[int, _Node] = {}     # by their first token: no two begin alike
        self.used = used                         # when last


class RadixTree:
    """Sequences of tokens that share their beginnings. Public: `num_tokens` stored, `num_nodes` without the root."""

    def __init__(self):
        self.num_tokens = 0
        self.num_nodes = 0
        self._root = _Node((), None, 0)
        self._clock = 0

    def match(self, tokens: Sequence[int]) -> int:
        """How many of the first tokens are in the tree. Every node of which a token matched has been used."""
        path, matched, _ = self._find(tuple(tokens))
        self._use(path)
        return matched

    def insert(self, tokens: Sequence[int]) -> int:
        """Add a sequence; returns how many of its first tokens were there already. All nodes on its path have been used.

        A node in which the sequence ends or branches off is split there; the lower part keeps its time of last use.
        """
        tokens = tuple(tokens)
        path, matched, inside = self._find(tokens)
        if inside < len(path[-1].tokens):
            path[-1] = self._split(path[-1], inside)
        if matched < len(tokens):
            path.append(self._add(path[-1], tokens[matched:]))
        self._use(path)
        return matched

    def evict(self, num_tokens: int) -> int:
        """Remove whole leaves, the least recently used first, until `num_tokens` are gone or none is left; returns how many."""
        gone = 0
        while gone < num_tokens and self.num_nodes:
            leaf = min(self._leaves(), key=lambda node: node.used)
            del leaf.parent.children[leaf.tokens[0]]
            self.num_nodes -= 1
            self.num_tokens -= len(leaf.tokens)
            gone += len(leaf.tokens)
        return gone

    def _find(self, tokens: tuple[int, ...]) -> tuple[list[_Node], int, int]:
        """The path along the tokens, how many of them match, and how many of those in the last node of the path."""
        path, matched, inside = [self._root], 0, 0
        while matched < len(tokens) and inside == len(path[-1].tokens) and tokens[matched] in path[-1].children:
            path.append(path[-1].children[tokens[matched]])
            inside = _common(path[-1].tokens, tokens[matched:matched + len(path[-1].tokens)])
            matched += inside
        return path, matched, inside

    def _use(self, path: list[_Node]) -> None:
        self._clock += 1
        for node in path:
            node.used = self._clock

    def _split(self, node: _Node, at: int) -> _Node:
        """Put a new node with the first `at` tokens of a node above it; returns the new one."""
        upper = _Node(node.tokens[:at], node.parent, node.used)
        node.parent.children[node.tokens[0]] = upper
        node.tokens, node.parent = node.tokens[at:], upper
        upper.children[node.tokens[0]] = node
        self.num_nodes += 1
        return upper

    def _add(self, parent: _Node, tokens: tuple[int, ...]) -> _Node:
        node = parent.children[tokens[0]] = _Node(tokens, parent, self._clock)
        self.num_nodes += 1
        self.num_tokens += len(tokens)
        return node

    def _leaves(self) -> Iterator[_Node]:
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            nodes += node.children.values()
            if not node.children:
                yield node


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many of the first tokens are equal."""
    for index, (mine, yours) in enumerate(zip(one, other)):
        if mine != yours:
            return index
    return min(len(one), len(other))
