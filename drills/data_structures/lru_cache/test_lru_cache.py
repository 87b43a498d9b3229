"""The judge of the LRU cache."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import count_lines, grows, play


class Oracle:
    """Slow and right: keys in the order of their last use."""

    def __init__(self, capacity):
        self.capacity, self.values, self.order, self.pinned = capacity, {}, [], set()

    def use(self, key):
        self.order = [each for each in self.order if each != key] + [key]

    def get(self, key, default):
        if key not in self.values:
            return default
        self.use(key)
        return self.values[key]

    def put(self, key, value):
        gone = None
        if key not in self.values and len(self.values) == self.capacity:
            if not list(self):
                raise RuntimeError
            gone = list(self)[0], self.values.pop(list(self)[0])
            self.order.remove(gone[0])
        self.values[key] = value
        self.use(key)
        return gone

    def pin(self, key):
        self.values[key]
        self.pinned.add(key)

    def unpin(self, key):
        self.values[key]
        if key in self.pinned:
            self.use(key)
            self.pinned.remove(key)

    def __contains__(self, key):
        return key in self.values

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter([key for key in self.order if key not in self.pinned])

    def look(self):
        return len(self), list(self)


class Answer:
    def __init__(self, cache):
        self.cache = cache

    def __getattr__(self, name):
        return getattr(self.cache, name)

    def look(self):
        return len(self.cache), list(self.cache)


KEYS = st.sampled_from("abcdef")
CALL = st.one_of(st.tuples(st.just("put"), KEYS, st.sampled_from([1, 2, None])), st.tuples(st.just("put"), KEYS, st.sampled_from([3, 4])),
                 st.tuples(st.just("get"), KEYS, st.just("default")), st.tuples(st.just("__contains__"), KEYS),
                 st.tuples(st.just("pin"), KEYS), st.tuples(st.just("unpin"), KEYS))
CALLS = st.integers(0, 20).flatmap(lambda number: st.lists(CALL, min_size=number, max_size=number))


@given(capacity=st.integers(1, 4), calls=CALLS)
def test_any_sequence_of_calls(answer, capacity, calls):
    looks = [each for call in calls for each in (call, ("look",))]
    play([("look",), *looks], Answer(answer.LRUCache(capacity)), Oracle(capacity))


def test_the_least_recently_used_goes(answer):
    cache = answer.LRUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    gone = cache.put("c", 3)
    assert gone == ("b", 2), f"a, b, then a was read: b is the least recently used and has to go as ('b', 2); yours returned {gone}"


def test_looking_is_not_using(answer):
    cache = answer.LRUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert "a" in cache and "c" not in cache
    gone = cache.put("c", 3)
    assert gone == ("a", 1), f"`in` is no use of a value: a is still the oldest and has to go; yours returned {gone}"


def test_a_new_value_for_a_key_pushes_nobody_out(answer):
    cache = answer.LRUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    gone = cache.put("a", 3)
    assert gone is None and len(cache) == 2 and "b" in cache, f"a gets another value: there is room, nobody has to go; yours returned {gone}"
    assert cache.get("a") == 3, "a has its new value"


def test_a_value_of_none_is_a_value(answer):
    cache = answer.LRUCache(1)
    cache.put("a", None)
    assert cache.get("a", "default") is None, "the value of a is None: that is not the same as no value"


def test_pinned_values_stay(answer):
    cache = answer.LRUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.pin("a")
    gone = cache.put("c", 3)
    assert gone == ("b", 2), f"a is older, but pinned: b has to go; yours returned {gone}"
    cache.pin("c")
    with pytest.raises(RuntimeError):
        cache.put("d", 4)
    assert "d" not in cache and len(cache) == 2, "a refused put changes nothing"
    cache.unpin("c")
    cache.unpin("a")
    gone = cache.put("d", 4)
    assert gone == ("c", 3), f"c was unpinned before a, so it is the older one; yours returned {gone}"


def test_a_capacity_of_nothing_is_refused(answer):
    for capacity in (0, -1):
        with pytest.raises(ValueError):
            answer.LRUCache(capacity)


def test_a_call_costs_the_same_whatever_the_capacity(answer):
    costs = {}
    for capacity in (10, 100, 1000):
        cache = answer.LRUCache(capacity)
        for key in range(capacity):
            cache.put(key, key)
        for key in range(capacity // 2):
            cache.pin(key)

        def calls():
            cache.get(capacity - 2)
            cache.put(capacity, 0)
            cache.put(capacity + 1, 0)
            cache.unpin(0)
            cache.pin(0)
            len(cache)
        costs[capacity] = count_lines(answer, calls)
    assert grows(costs) < 0.1, f"lines executed: {costs[10]} for a capacity of 10, {costs[1000]} for one of 1000: something looks at every entry"
