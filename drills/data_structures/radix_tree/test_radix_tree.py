"""The judge of the radix tree."""
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import count_lines, grows, play


def common(one, other):
    return next((index for index, (mine, yours) in enumerate(zip(one, other)) if mine != yours), min(len(one), len(other)))


class Oracle:
    """Slow and right: a node is the whole sequence down to its end, with its last use. Its parent is the longest other that it begins with."""

    def __init__(self):
        self.nodes, self.time = {}, 0

    def parent(self, node):
        return max((len(other) for other in self.nodes if len(other) < len(node) and node[:len(other)] == other), default=0)

    def use(self, tokens):
        self.time += 1
        for node in list(self.nodes):
            if common(node, tokens) > self.parent(node):
                self.nodes[node] = self.time

    def match(self, tokens):
        self.use(tuple(tokens))
        return max((common(node, tuple(tokens)) for node in self.nodes), default=0)

    def insert(self, tokens):
        tokens = tuple(tokens)
        shared = max((common(node, tokens) for node in self.nodes), default=0)
        for end in {tokens[:shared], tokens} - {()}:
            self.nodes.setdefault(end, 0)
        self.time += 1
        for node in self.nodes:
            if tokens[:len(node)] == node:
                self.nodes[node] = self.time
        return shared

    def evict(self, number):
        gone = 0
        while gone < number and self.nodes:
            leaves = [node for node in self.nodes if not any(len(other) > len(node) and other[:len(node)] == node for other in self.nodes)]
            leaf = min(leaves, key=self.nodes.get)
            gone += len(leaf) - self.parent(leaf)
            del self.nodes[leaf]
        return gone

    def look(self):
        return {"num_tokens": sum(len(node) - self.parent(node) for node in self.nodes), "num_nodes": len(self.nodes)}


class Answer:
    def __init__(self, answer):
        self.tree = answer.RadixTree()

    def __getattr__(self, name):
        return getattr(self.tree, name)

    def look(self):
        return {"num_tokens": self.tree.num_tokens, "num_nodes": self.tree.num_nodes}


# Many begin alike and branch off at another place.
TOKENS = st.builds(lambda zeros, rest: [0] * zeros + rest, st.integers(0, 5), st.lists(st.integers(0, 2), max_size=3))
CALL = st.one_of(st.tuples(st.just("insert"), TOKENS), st.tuples(st.just("insert"), TOKENS), st.tuples(st.just("match"), TOKENS),
                 st.tuples(st.just("evict"), st.integers(0, 2)))
CALLS = st.integers(0, 12).flatmap(lambda number: st.lists(CALL, min_size=number, max_size=number))


@given(calls=CALLS)
def test_any_sequence_of_calls(answer, calls):
    """In the end the leaves are evicted one after another: that shows the order of use."""
    calls = [*calls, *[("evict", 1)] * 8]
    play([each for call in calls for each in (call, ("look",))], Answer(answer), Oracle())


def test_a_match_may_end_within_a_node(answer):
    tree = answer.RadixTree()
    assert tree.match([1, 2, 3]) == 0, "an empty tree shares nothing"
    tree.insert([1, 2, 3, 4])
    for tokens, length in (([], 0), ([1, 2, 3, 4], 4), ([1, 2], 2), ([1, 2, 9], 2), ([1, 2, 3, 4, 5], 4), ([2, 3], 0)):
        got = tree.match(tokens)
        assert got == length, f"1 2 3 4 is in the tree: of {tokens} the first {length} match, not {got}"
    assert (tree.num_nodes, tree.num_tokens) == (1, 4), (
        f"one sequence is one node of 4 tokens, and a match changes nothing: {tree.num_nodes}, {tree.num_tokens}")


def test_a_node_is_split_where_a_sequence_branches_off(answer):
    tree = answer.RadixTree()
    tree.insert([1, 2, 3, 4])
    shared = tree.insert([1, 2, 7])
    assert shared == 2, f"1 2 7 shares its first 2 tokens with 1 2 3 4, not {shared}"
    assert tree.num_tokens == 5, f"1 2 is stored once, then 3 4 and 7: 5 tokens, not {tree.num_tokens}"
    assert tree.num_nodes == 3, f"1 2, and below it 3 4 and 7: 3 nodes, not {tree.num_nodes}"
    for tokens in ([1, 2, 3, 4], [1, 2, 7]):
        assert tree.match(tokens) == len(tokens), f"{tokens} was inserted: all of it must match, also after the split"
    tree.insert([1, 9])
    for tokens in ([1, 2, 3, 4], [1, 2, 7], [1, 9]):
        assert tree.match(tokens) == len(tokens), f"{tokens} was inserted: it must match also after a second split, above the first"


def test_the_leaf_used_longest_ago_goes_first(answer):
    tree = answer.RadixTree()
    tree.insert([1, 2, 3])
    tree.insert([1, 2, 4, 5])
    tree.match([1, 2, 3])
    gone = tree.evict(1)
    assert gone == 2, f"3 was used after 4 5, so the leaf 4 5 goes as a whole: 2 tokens, not {gone}"
    assert tree.match([1, 2, 4, 5]) == 2 and tree.match([1, 2, 3]) == 3, "of 1 2 4 5 only 1 2 is left; 1 2 3 was used last and stays"
    gone = tree.evict(2)
    assert gone == 3, f"3 goes; that makes 1 2 a leaf, which goes as well, since one token was not enough: 3 tokens in all, not {gone}"
    assert (tree.num_nodes, tree.num_tokens, tree.evict(1)) == (0, 0, 0), "the tree is empty now, and evicts nothing"


def test_what_others_build_on_is_not_evicted(answer):
    """A block without those before it is of no use."""
    tree = answer.RadixTree()
    tree.insert([1, 2])
    tree.insert([1, 2, 3])
    tree.insert([8])
    tree.insert([1, 2, 3])
    tree.insert([9])
    assert tree.evict(1) == 1 and tree.match([8]) == 0, "8 is the leaf used longest ago"
    tree.insert([7])
    gone = tree.evict(1)
    assert gone == 1 and tree.match([1, 2]) == 2, f"1 2 and 3 were used at the same time, and 3 builds on 1 2: the leaf 3 goes, 1 token, not {gone}"


def test_the_tree_keeps_its_own_tokens(answer):
    """The list is the request's, which appends to it at the next step."""
    tree, tokens = answer.RadixTree(), [1, 2, 3]
    tree.insert(tokens)
    tokens[1] = 9
    tokens.append(4)
    got = tree.match((1, 2, 3, 4))
    assert got == 3, f"1 2 3 was inserted, then the caller changed its list: of 1 2 3 4 still the first 3 match, not {got}"
    assert tree.match(range(1, 4)) == 3, "tokens come as any sequence, also as a range"


def test_a_match_costs_the_same_however_many_sequences(answer):
    costs = {}
    for number in (10, 100, 1000):
        tree = answer.RadixTree()
        for first in range(number):
            tree.insert([first, 1, 2, 3])
        costs[number] = count_lines(answer, lambda: (tree.match([number // 2, 1, 2, 9]), tree.insert([number // 2, 1, 7])))
    assert grows(costs) < 0.1, f"lines executed: {costs[10]} among 10 sequences, {costs[1000]} among 1000: follow one path instead of looking at all"


def test_a_path_of_many_nodes(answer):
    """A conversation that is inserted at each turn: no node has two children, and yet there are many."""
    tree, turns = answer.RadixTree(), 1200
    for turn in range(1, turns + 1):
        assert tree.insert(range(turn)) == turn - 1, f"the turn before was inserted: {turn - 1} tokens are there already"
    assert (tree.match(range(turns)), tree.num_nodes) == (turns, turns), f"{turns} turns of a token each are {turns} nodes, one below the other"
    gone, left = tree.evict(1), tree.match(range(turns))
    assert (gone, left) == (1, turns - 1), f"the last turn goes, 1 token, and {turns - 1} are left; not {gone} and {left}"
