"""The great invariant, at random: `python -m spec.fuzz.engines [--workloads 200] [--seed 1] [--drafts]`.

Random prompts under random limits go through the real vLLM and through impl: every
decision, token, text and logprob is compared, and each request must have said what
it says alone, and without drafts. Each model gets every other workload.

Of several requests that end in one step by stop strings, vLLM frees the blocks in the order of a set, which is another
each time: a difference in block ids behind such a step comes and goes, and says nothing.
"""
import argparse
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from functools import partial

import impl
from reference.generate import Generation, OurGenerator, generate
from reference.prompts import MODELS, Prompts
from reference.vllm_scheduler import installed_device
from spec.bench.agreement import agreement, first_difference, generate_beside
from spec.bench.events import events
from spec.engine.random_prompts import alone, at_random

SHARE = 40      # workloads for one process: the engines of vLLM in it are many, and none can be destroyed
SHOWN = ("preemption", "cache hit", "eviction", "chunk", "abort", "stop string", "end of sequence", "held back")
SHOWN_OF_DRAFTS = ("accepted draft", "rejected draft", "placeholders", "end inside drafts")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.fuzz.engines", description=__doc__)
    parser.add_argument("--workloads", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--drafts", action="store_true", help="with n-gram speculative decoding")
    parser.add_argument("--here", action="store_true", help="in this process, whatever their number")
    options = parser.parse_args()
    if options.here:
        return campaign(range(options.seed, options.seed + options.workloads), options.drafts)
    stop, codes = options.seed + options.workloads, []
    for first in range(options.seed, stop, SHARE):
        codes.append(subprocess.run([sys.executable, "-m", "spec.fuzz.engines", "--here", "--seed", str(first),
                                     "--workloads", str(min(SHARE, stop - first)), *(["--drafts"] if options.drafts else [])], stderr=subprocess.DEVNULL).returncode)
    return max(codes)


def campaign(seeds: range, drafts: bool = False) -> int:
    """Play the workloads of these seeds; prints what is wrong, and at the end what happened in how many."""
    shown = SHOWN + (SHOWN_OF_DRAFTS if drafts else ())
    wrong, happened, counts, started = 0, Counter(), Counter(), time.monotonic()
    for seed in seeds:
        complaint, theirs, ours = play(seed, drafts)
        happened.update(event for event in shown if events(theirs)[event])
        told = agreement(ours, theirs)
        counts.update({"identical": told.identical, "near-ties": told.near_ties, "diverged": told.diverged, "tokens": told.positions})
        if complaint:
            wrong += 1
            print(f"seed {seed}: {complaint}\n{theirs.workload.source()}", flush=True)
    print(f"{len(seeds)} workloads from seed {seeds.start} in {time.monotonic() - started:.0f} s: {wrong} wrong; "
          + ", ".join(f"{number} {name}" for name, number in counts.items()) + "; in how many there was "
          + ", ".join(f"{event} {happened[event]}" for event in shown), flush=True)
    return 1 if wrong else 0


def play(seed: int, drafts: bool = False) -> tuple[str | None, Generation, Generation]:
    """What is wrong with a workload, vLLM's run and ours."""
    from reference.vllm_llm import vllm_generation
    asked = at_random(seed, some_parameters).of(MODELS[seed % 2])
    if drafts:
        asked = drafting(asked, random.Random(seed))
    theirs = vllm_generation(asked)
    ours = generate_beside(theirs, lambda forced: generate(asked, partial(OurGenerator, impl, forced=forced, device=installed_device()), "impl"))
    difference = first_difference(ours, theirs)
    if difference:
        return f"the engines part: {difference}", theirs, ours
    by_itself = generate(replace(alone(asked).with_limits(speculative_config=None), aborts=()), partial(OurGenerator, impl, device=installed_device()), "impl")
    for request_id, output in theirs.requests.items():
        said, told = output.outputs[0].token_ids, by_itself.tokens(request_id)
        if said != told[:len(said)]:    # an abort may have cut it short
            return f"{request_id} says {said} in vLLM's batch and {told} alone in ours", theirs, ours
    return None, theirs, ours


def drafting(asked: Prompts, rng: random.Random) -> Prompts:
    """The same with n-gram drafts, and without what they cannot be verified with. What is penalised with less than nothing repeats itself."""
    shortest = rng.randint(1, 3)
    asks = [replace(ask, params={name: value for name, value in ask.params.items() if name != "logit_bias"} | (
        {"frequency_penalty": -2 * rng.random()} if rng.random() < 0.5 else {})) for ask in asked.asks]
    return replace(asked, asks=tuple(asks)).with_limits(speculative_config={
        "method": "ngram", "num_speculative_tokens": rng.randint(1, 5), "prompt_lookup_min": shortest, "prompt_lookup_max": shortest + rng.randint(0, 2)})


def some_parameters(rng: random.Random) -> dict:
    """What else a request may ask for."""
    return {name: value for name, chance, value in (
        ("repetition_penalty", 0.2, rng.uniform(0.7, 1.6)), ("presence_penalty", 0.2, rng.uniform(-1, 2)),
        ("frequency_penalty", 0.2, rng.uniform(-0.5, 1)), ("logit_bias", 0.1, {rng.randrange(3, 1024): rng.uniform(-9, 9)}),
        ("stop", 0.2, [rng.choice(("e ", "th", ".", "Mr", "she"))]), ("include_stop_str_in_output", 0.1, True),
        ("bad_words", 0.1, [rng.choice(("the", "Elizabeth", "her"))])) if rng.random() < chance}


if __name__ == "__main__":
    sys.exit(main())
