"""The whole trace of a real run: arrivals, chunks, preemptions and cache hits are decided as without a model, and each token is fed
back. (That both engines decide the same, block by block, is compared for every claim of this folder.)"""
from spec.bench import claim, prompts
from spec.engine.many_prompts import own_text

SAID = own_text("llama")
SCHEDULE, UPDATE = "v1/core/sched/scheduler.py::Scheduler.schedule", "v1/core/sched/scheduler.py::Scheduler.update_from_output"

BUSY = prompts(max_num_batched_tokens=24)
for number, (arrives, length) in enumerate(((0, 3), (2, 90), (3, 5), (10, 60), (11, 120), (30, 1))):
    BUSY = BUSY.ask(str(number), SAID[13 * number:13 * number + length], arrives=arrives, max_tokens=20, logprobs=1)


@claim("Every request in a step gets exactly one token, unless its prompt is not computed to the end.",
       on=BUSY, about=("chunk", "decode"), vllm=UPDATE)
def test_a_token_for_whoever_is_through(run):
    for step in run.steps:
        told = {done.request_id: len(done.new_token_ids) for done in step.outputs}
        for share in step.scheduled:
            output = run.requests[share.request_id]
            through = share.num_computed_tokens + share.num_tokens >= len(output.prompt_token_ids)
            assert told.get(share.request_id, 0) == through, f"step {step.index}: {share} got {told}"


@claim("A long prompt is computed in chunks beside the decodes of others, and no step exceeds the token budget.",
       on=BUSY, about=("chunk", "decode"), vllm=SCHEDULE)
def test_chunks_and_decodes_share_a_step(run):
    mixed = [step.index for step in run.steps if any(share.num_tokens > 1 for share in step.scheduled)
             and any(share.num_tokens == 1 for share in step.running)]
    assert mixed, "no step has both"
    assert all(step.num_tokens <= 24 for step in run.steps)


@claim("A token is visible in the very step that sampled it: nothing is a step behind.",
       on=prompts().ask("a", "Elizabeth was", max_tokens=12), about="decode", vllm="v1/engine/llm_engine.py::LLMEngine.step")
def test_text_comes_in_the_step_that_sampled_it(run):
    assert [len(step.outputs) for step in run.steps] == [1] * 12 and len(run.steps) == len(run.stream)
    assert all(text for text in run.stream), f"{run.stream}"


CROWDED = prompts(num_gpu_blocks_override=10, max_model_len=128)
for number in range(4):
    CROWDED = CROWDED.ask(str(number), SAID[100 * number:100 * number + 40], arrives=number, max_tokens=60, ignore_eos=True)


@claim("A preempted request is resumed by computing its prompt and all it has said so far, less what is still cached.",
       on=CROWDED, about=("preemption", "resumption"), vllm=SCHEDULE)
def test_resumption_computes_what_was_said(run):
    known = {request_id: len(output.prompt_token_ids) for request_id, output in run.requests.items()}
    for step in run.steps:
        for share in step.resumed:
            assert share.num_computed_tokens + share.num_tokens == known[share.request_id], f"step {step.index}: {share}"
            assert share.num_computed_tokens % 32 == 0
        for done in step.outputs:
            known[done.request_id] += len(done.new_token_ids)


@claim("Preemption repeats no token and drops none: each sequence has as many as were asked for.",
       on=CROWDED, about=("preemption", "length"), vllm=SCHEDULE)
def test_preemption_drops_no_token(run):
    assert {request_id: len(output.outputs[0].token_ids) for request_id, output in run.requests.items()} == dict.fromkeys("0123", 60)


TWINS = prompts().ask("first", SAID[:80], max_tokens=4).ask("second", SAID[:80], arrives=1, max_tokens=4)


@claim("A prompt that another request is still answering is found in the cache, but for its last block.",
       on=TWINS, about="cache hit", vllm="v1/core/single_type_kv_cache_manager.py::FullAttentionManager.find_longest_cache_hit")
def test_a_twin_is_found_while_the_first_still_runs(run):
    assert run.requests["second"].num_cached_tokens == 64, "80 tokens are two whole blocks of 32, and a part"
    assert run.tokens("first") == run.tokens("second")


@claim("A prompt that ends on the border of a block computes its whole last block again, to have logits to sample from.",
       on=prompts().ask("first", SAID[:64], max_tokens=2).ask("second", SAID[:64], arrives=4, max_tokens=2), about="cache hit",
       vllm="v1/core/kv_cache_manager.py::KVCacheManager.get_computed_blocks")
def test_the_last_block_is_computed_again(run):
    assert run.requests["second"].num_cached_tokens == 32


@claim("num_cached_tokens counts a prompt's cached tokens at its first admission, and a preemption does not change it.",
       on=CROWDED, about=("preemption", "resumption"), vllm="v1/engine/output_processor.py::OutputProcessor.process_outputs")
def test_cached_tokens_are_counted_at_the_first_admission(run):
    assert any(share.num_computed_tokens for step in run.steps for share in step.resumed), "a resumed request found some of its blocks"
    assert all(output.num_cached_tokens == 0 for output in run.requests.values())


@claim("Requests of one batch may come and go in any step; the others notice nothing.", about=("greedy", "decode", "length"),
       on=prompts().ask("long", "Elizabeth was", max_tokens=30).ask("short", "Mr. Darcy", arrives=5, max_tokens=3)
       .ask("late", "My dear", arrives=12, max_tokens=9).ask("alone", "Elizabeth was", arrives=60, max_tokens=30),
       vllm="v1/worker/gpu_input_batch.py::InputBatch.condense")
def test_the_batch_is_condensed(run):
    assert run.text("long") == run.text("alone")
