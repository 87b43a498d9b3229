"""Requests without a seed, whose tokens nobody can foresee: each comes as often as it is probable, in both engines.

A G-test on 600 draws, for either engine: one that samples rightly fails it once in a
million runs (`ERROR_RATE`).
"""
import math
from functools import partial

import pytest

import impl
from reference.generate import OurGenerator, generate
from reference.prompts import MODELS, prompts
from spec.engine.side_by_side import needs_vllm
from spec.sampling.test_distribution import ERROR_RATE, g_test

MANY = 600
WAYS = {"plain": {"temperature": 1.0}, "cold": {"temperature": 0.5}, "top_k": {"temperature": 1.5, "top_k": 4}, "top_p": {"temperature": 1.0, "top_p": 0.6},
        "min_p": {"temperature": 1.0, "min_p": 0.2}}


def draws(model: str, way: dict):
    asked = prompts(model, max_num_seqs=64, logprobs_mode="processed_logprobs", max_logprobs=-1)
    # The first tells what is left, and how probable, after all filters.
    return asked.ask("shown", "Elizabeth was", max_tokens=1, logprobs=-1, **way).ask("drawn", "Elizabeth was", max_tokens=1, n=MANY, **way)


@needs_vllm
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("engine", ["impl", "vllm"])
def test_each_token_comes_as_often_as_it_is_probable(bench, engine, way, model):
    asked = draws(model, way)
    run = bench.bench.reference.live(asked) if engine == "vllm" else generate(asked, partial(OurGenerator, impl, **bench.bench.reference.where), "impl")
    left = {token: math.exp(entry.logprob) for token, entry in run.of("shown").logprobs[0].items() if entry.logprob > -math.inf}
    chosen = [done.token_ids[0] for done in run.requests["drawn"].outputs]
    assert set(chosen) <= set(left), f"{set(chosen) - set(left)} were left out, and came"
    chance, observed, expected = g_test(chosen, left)
    assert chance > ERROR_RATE, f"a chance of {chance:.1e}: {observed} where {expected} was to be expected"
