"""The judge of tensor parallelism."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch: make setup")

RANKS = (1, 2, 3, 4)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def everywhere(x, group):
    return [x.clone() for _ in range(group.size)]


def check(outs, right, group, what, all_reduces=0, all_gathers=0):
    """The whole output at every rank, and exactly so many collectives."""
    assert len(outs) == group.size, f"{what}: expected a list with the output of each of {group.size} ranks, got {len(outs)}"
    for rank, out in enumerate(outs):
        assert_close(out, right, f"{what}, rank {rank} of {group.size}", 1e-4)
    spent(group, what, all_reduces, all_gathers)


def spent(group, what, all_reduces=0, all_gathers=0):
    got, right = (group.all_reduces, group.all_gathers), (all_reduces, all_gathers) if group.size > 1 else (0, 0)
    assert got == right, (f"{what}, {group.size} ranks: {got[0]} all-reduces and {got[1]} all-gathers, expected {right[0]} and {right[1]}: "
                          "each one makes all GPUs wait for each other")


def holds(layer, group, numbers, what):
    sizes = [part.numel() for part in layer.weights]
    assert sizes == [numbers] * group.size, f"{what}: the {group.size} ranks hold {sizes} numbers, expected {numbers} each: the point is to split the weights"


def test_columns(answer):
    weight, bias, x = random(12, 5, seed=1), random(12, seed=2), random(3, 5, seed=3)
    for size in RANKS:
        for b in (None, bias):
            group = answer.Group(size)
            layer = answer.ColumnParallelLinear(weight, b, group)
            holds(layer, group, 60 // size, "ColumnParallelLinear")
            outs = layer.forward(everywhere(x, group))
            whole = x @ weight.T + (0 if b is None else b)
            for rank, (out, part) in enumerate(zip(outs, whole.chunk(size, 1), strict=True)):
                what = f"ColumnParallelLinear {'without' if b is None else 'with'} bias, rank {rank} of {size}"
                assert_close(out, part, f"{what}: its share of the outputs", 1e-4)
            spent(group, "ColumnParallelLinear needs nobody else")


def test_columns_gathered(answer):
    weight, bias, x = random(12, 5, seed=1), random(12, seed=2), random(3, 5, seed=3)
    for size in RANKS:
        group = answer.Group(size)
        outs = answer.ColumnParallelLinear(weight, bias, group, gather_output=True).forward(everywhere(x, group))
        check(outs, x @ weight.T + bias, group, "ColumnParallelLinear with gather_output", all_gathers=1)


def test_a_rank_has_only_what_it_is_given(answer):
    """Different inputs at different ranks, which does not happen, but shows who reads what."""
    group, weight = answer.Group(3), random(6, 4, seed=4)
    xs = [random(2, 4, seed=10 + rank) for rank in range(3)]
    outs = answer.ColumnParallelLinear(weight, None, group).forward(xs)
    for rank in range(3):
        assert_close(outs[rank], xs[rank] @ weight[2 * rank:2 * rank + 2].T, f"rank {rank} of 3 multiplies its own input with its own two rows", 1e-4)


def test_rows(answer):
    weight, bias, x = random(5, 12, seed=1), random(5, seed=2), random(3, 12, seed=3)
    for size in RANKS:
        for b in (None, bias):
            group = answer.Group(size)
            layer = answer.RowParallelLinear(weight, b, group)
            holds(layer, group, 60 // size, "RowParallelLinear")
            outs = layer.forward([part.clone() for part in x.chunk(size, 1)])
            check(outs, x @ weight.T + (0 if b is None else b), group, f"RowParallelLinear {'without' if b is None else 'with'} bias", all_reduces=1)


def test_merged_columns(answer):
    """Three matrices as query, key and value: every rank has a part of each."""
    weights, x = [random(out, 5, seed=out) for out in (24, 12, 12)], random(3, 5, seed=3)
    for size in RANKS:
        group = answer.Group(size)
        layer = answer.MergedColumnParallelLinear(weights, group)
        holds(layer, group, 48 * 5 // size, "MergedColumnParallelLinear")
        outs = layer.forward(everywhere(x, group))
        for rank in range(size):
            right = torch.cat([(x @ weight.T).chunk(size, 1)[rank] for weight in weights], 1)
            what = f"MergedColumnParallelLinear of 24, 12 and 12 outputs, rank {rank} of {size}"
            assert_close(outs[rank], right, f"{what}: its part of the first, of the second, of the third", 1e-4)
        spent(group, "MergedColumnParallelLinear needs nobody else")


def test_feed_forward(answer):
    gate, up, down, bias, x = random(12, 5, seed=1), random(12, 5, seed=2), random(5, 12, seed=3), random(5, seed=4), random(4, 5, seed=5)
    right = (torch.nn.functional.silu(x @ gate.T) * (x @ up.T)) @ down.T + bias
    for size in RANKS:
        group = answer.Group(size)
        layers = answer.MergedColumnParallelLinear([gate, up], group), answer.RowParallelLinear(down, bias, group)
        check(answer.feed_forward(everywhere(x, group), *layers), right, group, "feed_forward", all_reduces=1)


def test_embedding(answer):
    for vocab_size in (1, 2, 12, 13, 50):
        weight = random(vocab_size, 4, seed=vocab_size)
        for size in RANKS:
            group = answer.Group(size)
            layer = answer.VocabParallelEmbedding(weight, group)
            holds(layer, group, -(-vocab_size // size) * 4, f"VocabParallelEmbedding of {vocab_size} tokens")
            token_ids = torch.cat([torch.arange(vocab_size), torch.tensor([0, vocab_size - 1])])
            token_ids = token_ids[torch.randperm(len(token_ids), generator=torch.Generator().manual_seed(6))]
            before = token_ids.clone()
            outs = layer.forward([token_ids] * size)
            assert torch.equal(token_ids, before), "the token ids are not yours to change"
            check(outs, weight[token_ids], group, f"VocabParallelEmbedding of {vocab_size} tokens, ids {token_ids.tolist()[:6]}", all_reduces=1)


def test_no_tokens(answer):
    group = answer.Group(2)
    outs = answer.VocabParallelEmbedding(random(6, 4), group).forward([torch.zeros(0, dtype=torch.int64)] * 2)
    assert [list(out.shape) for out in outs] == [[0, 4]] * 2, f"no tokens: expected [0, 4] at both ranks, got {[list(out.shape) for out in outs]}"
    outs = answer.ColumnParallelLinear(random(6, 4), None, group).forward([torch.zeros(0, 4)] * 2)
    assert [list(out.shape) for out in outs] == [[0, 3]] * 2, f"no tokens: expected [0, 3] at both ranks, got {[list(out.shape) for out in outs]}"


def test_what_cannot_be_divided(answer):
    group = answer.Group(4)
    for make in (lambda: answer.ColumnParallelLinear(random(6, 4), None, group), lambda: answer.RowParallelLinear(random(4, 6), None, group),
                 lambda: answer.MergedColumnParallelLinear([random(6, 4), random(2, 4)], group)):
        with pytest.raises(ValueError):
            make()
