"""Four situations, each kind to one idea. What they have in common lets every engine serve them.

The limits are those of an engine that computes a prompt in one step: `with_chunks` and
`without_caching` turn the ideas on and off.
"""
from reference.workload import EOS, Workload, workload

BUDGET, CHUNKS = 64, 16     # tokens a step: a whole prompt of any length, and what a chunk may have


def _limits(num_blocks: int) -> Workload:
    return workload(num_blocks=num_blocks, max_num_seqs=4, max_model_len=BUDGET, max_num_batched_tokens=BUDGET, enable_chunked_prefill=False)


def with_chunks(asked: Workload) -> Workload:
    return asked.with_config(enable_chunked_prefill=True, max_num_batched_tokens=CHUNKS)


def without_caching(asked: Workload) -> Workload:
    return asked.with_config(enable_prefix_caching=False)


def _many_lengths() -> Workload:
    made = _limits(65)
    for number, max_tokens in enumerate([2, 3, 4, 40] * 3):
        made = made.request(f"r{number}", prompt=8, max_tokens=max_tokens)
    return made


def _shared_prompt() -> Workload:
    made = _limits(65)
    for number in range(8):
        made = made.request(f"r{number}", prompt=f"system:32 r{number}:6", arrives=number, max_tokens=8)
    return made


def _small_pool() -> Workload:
    """All may say 32 tokens, and most stop after a few."""
    made = _limits(25)
    for number, said in enumerate([3, 32, 5, 32, 4, 6, 32, 5]):
        made = made.request(f"r{number}", prompt=12, max_tokens=32, says={said: EOS})
    return made


many_lengths, shared_prompt, small_pool = _many_lengths(), _shared_prompt(), _small_pool()

long_prompt = (_limits(65)
               .request("a", prompt=6, max_tokens=24)
               .request("b", prompt=6, max_tokens=24)
               .request("long", prompt=56, arrives=4, max_tokens=4)
               .request("c", prompt=6, arrives=5, max_tokens=8))

SITUATIONS = {
    "outputs of many lengths": many_lengths,
    "a small pool, and most stop early": small_pool,
    "a shared system prompt": shared_prompt,
    "a long prompt among decodes": long_prompt,
}
