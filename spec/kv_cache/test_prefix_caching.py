"""Prefix caching: what of a prompt has to be computed, and what is there already."""
from spec.bench import claim, workload

LOOKUP = "v1/core/kv_cache_manager.py::KVCacheManager.get_computed_blocks"
LONGEST = "v1/core/single_type_kv_cache_manager.py::FullAttentionManager.find_longest_cache_hit"
HASH = "v1/core/kv_cache_utils.py::hash_block_tokens"
EXTRA_KEYS = "v1/core/kv_cache_utils.py::generate_block_hash_extra_keys"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
SKIP = "v1/request.py::Request.get_skip_reading_prefix_cache"

# Each comes when the one before has ended.
orders = (workload(num_blocks=24, block_size=4)
          .request("a", prompt="x:4 y:4 z:4 a:1", max_tokens=1)
          .request("same order", prompt="x:4 y:4 z:4 b:1", max_tokens=1, arrives=1)
          .request("other order", prompt="y:4 x:4 z:4 c:1", max_tokens=1, arrives=2)
          .request("other middle", prompt="x:4 w:4 z:4 e:1", max_tokens=1, arrives=3)
          .request("w", prompt="w:5", max_tokens=1, arrives=4)
          .request("other beginning", prompt="w:4 y:4 z:4 d:1", max_tokens=1, arrives=5))

parts_of_blocks = (workload(num_blocks=12, block_size=4)
                   .request("a", prompt="system:7 a:2", max_tokens=1)
                   .request("b", prompt="system:7 b:2", max_tokens=1, arrives=1))

same_prompts = (workload(num_blocks=16, block_size=4)
                .request("eight", prompt="system:8", max_tokens=1)
                .request("eight again", prompt="system:8", max_tokens=1, arrives=1)
                .request("nine", prompt="system:9", max_tokens=1, arrives=2)
                .request("four", prompt="system:4", max_tokens=1, arrives=3))
same_prompts_without_cache = same_prompts.with_config(enable_prefix_caching=False)

# chat repeats what talk was asked and has answered so far; so does a follow-up when talk has ended.
conversation = (workload(num_blocks=16, block_size=4)
                .request("talk", prompt="talk:4", max_tokens=8)
                .request("chat", prompt="talk:4 talk.out:4 chat:2", max_tokens=1, arrives=5)
                .request("follow-up", prompt="talk:4 talk.out:8 follow-up:2", max_tokens=1, arrives=9))

# The prompt ends, and the answer begins, in the middle of block 2.
half_and_half = (workload(num_blocks=12, block_size=4)
                 .request("talk", prompt="talk:6", max_tokens=4)
                 .request("follow-up", prompt="talk:6 talk.out:2 follow-up:1", max_tokens=1, arrives=4))

preempted = (workload(num_blocks=6, block_size=4)
             .request("a", prompt=8, max_tokens=3)
             .request("b", prompt=10, max_tokens=3))
preempted_without_cache = preempted.with_config(enable_prefix_caching=False)

in_chunks = (workload(num_blocks=16, block_size=4, max_num_batched_tokens=8)
             .request("a", prompt="system:16 a:1", max_tokens=1)
             .request("b", prompt="system:16 b:4", max_tokens=1, arrives=3))

overtaken = (workload(num_blocks=16, block_size=4, max_num_batched_tokens=13)
             .request("a", prompt="system:20 a:1", max_tokens=1)
             .request("b", prompt="system:20 b:1", max_tokens=1, arrives=1))

logprobs = (workload(num_blocks=20, block_size=4)
            .request("first", prompt="system:9", prompt_logprobs=1, max_tokens=1)
            .request("reader", prompt="system:9", max_tokens=1, arrives=1)
            .request("scored", prompt="system:9", prompt_logprobs=0, max_tokens=1, arrives=2)
            .request("skipping", prompt="system:9", skip_reading_prefix_cache=True, max_tokens=1, arrives=3)
            .request("insisting", prompt="system:9", prompt_logprobs=1, skip_reading_prefix_cache=False, max_tokens=1, arrives=4))

salted = (workload(num_blocks=24, block_size=4)
          .request("plain", prompt="system:13", max_tokens=1)
          .request("salted", prompt="system:13", cache_salt="alice", max_tokens=1, arrives=1)
          .request("salted alike", prompt="system:13", cache_salt="alice", max_tokens=1, arrives=2)
          .request("salted otherwise", prompt="system:13", cache_salt="bob", max_tokens=1, arrives=3)
          .request("empty salt", prompt="system:13", cache_salt="", max_tokens=1, arrives=4))

salted_family = (workload(num_blocks=16, block_size=4)
                 .request("plain", prompt="system:9", max_tokens=1)
                 .request("p", prompt="system:9", cache_salt="alice", n=2, max_tokens=1, arrives=1))

# At step 2 v gets two more blocks, then u needs one and v, less urgent, is preempted.
withdrawn = (workload(num_blocks=9, block_size=4, policy="priority", max_num_batched_tokens=12, long_prefill_token_threshold=8)
             .request("v", prompt=25, priority=1, max_tokens=1)
             .request("u", prompt=4, priority=0, max_tokens=3, arrives=1))


def hit(run, request_id):
    """The tokens that a request found in the cache when it was first admitted."""
    return run.first_step(request_id).of(request_id).num_computed_tokens


@claim("The full blocks with which two prompts begin alike are computed once.",
       on=orders, about="cache hit", vllm=LOOKUP)
def test_a_common_beginning_is_computed_once(run):
    assert hit(run, "a") == 0 and hit(run, "same order") == 12
    assert run.first_step("same order").of("same order").num_tokens == 1


@claim("The same tokens at another place in the prompt are no hit.",
       on=orders, about="cache hit", vllm=HASH)
def test_the_same_tokens_elsewhere_are_no_hit(run):
    assert hit(run, "other order") == 0


@claim("The same tokens at the same place after another beginning are no hit.",
       on=orders, about="cache hit", vllm=HASH)
def test_the_same_tokens_after_another_beginning_are_no_hit(run):
    # w is known, and so are y and z, but not behind w.
    assert hit(run, "other beginning") == 4


@claim("A hit ends at the first block that differs, even if later blocks hold the same tokens again.",
       on=orders, about="cache hit", vllm=LONGEST)
def test_a_hit_ends_at_the_first_difference(run):
    assert hit(run, "other middle") == 4


# True of caches that keep pieces by their text alone; a key or value depends on all tokens before it.
@claim("A block is found again by its own tokens, wherever they stand.",
       on=orders, about="cache hit", vllm=HASH, misconception=True)
def test_a_block_is_found_by_its_own_tokens(run):
    assert hit(run, "other order") > 0, "eight known tokens in another order are all computed"


@claim("Only full blocks are hit: of seven common tokens, four are found.",
       on=parts_of_blocks, about="cache hit", vllm=LONGEST)
def test_only_full_blocks_are_hit(run):
    assert hit(run, "b") == 4


@claim("Of a prompt that is cached to its very end, the whole last block is computed again.",
       on=same_prompts, about="cache hit", vllm=LOOKUP)
def test_a_cached_prompt_recomputes_its_last_block(run):
    share = run.first_step("eight again").of("eight again")
    assert (share.num_computed_tokens, share.num_tokens) == (4, 4)


# Texts say "the last token is recomputed"; but a block is hit whole or not at all.
@claim("Of a prompt that is cached to its very end, only the last token is computed again.",
       on=same_prompts, about="cache hit", vllm=LOOKUP, misconception=True)
def test_a_cached_prompt_recomputes_its_last_token(run):
    share = run.first_step("eight again").of("eight again")
    assert share.num_tokens == 1, f"{share.num_tokens} tokens are computed again"


@claim("A prompt that goes one token beyond its cached blocks computes that one token.",
       on=same_prompts, about="cache hit", vllm=LOOKUP)
def test_one_token_beyond_the_cached_blocks(run):
    share = run.first_step("nine").of("nine")
    assert (share.num_computed_tokens, share.num_tokens) == (8, 1)


@claim("A prompt of exactly one block never hits.",
       on=same_prompts, about="cache hit", vllm=LOOKUP)
def test_a_prompt_of_one_block_never_hits(run):
    assert hit(run, "eight again") == 4 and hit(run, "four") == 0


@claim("With prefix caching off nothing is cached and nothing is hit.",
       on=same_prompts_without_cache, about="admission", vllm=LOOKUP)
def test_prefix_caching_off(run):
    assert all(share.num_computed_tokens == 0 for step in run.steps for share in step.new)
    assert all(not step.scheduled_state.cached_blocks and not step.updated_state.cached_blocks for step in run.steps)


@claim("A full block is in the cache as soon as it is scheduled, before the model has computed it.",
       on=same_prompts, about="admission", vllm=ALLOCATE)
def test_blocks_are_cached_when_scheduled(run):
    assert run.steps[0].of("eight").new_block_ids == (1, 2)
    assert run.steps[0].scheduled_state.cached_blocks == (1, 2)


@claim("Generated tokens are cached like those of a prompt, while their request still runs.",
       on=conversation, about=("cache hit", "decode"), vllm=ALLOCATE)
def test_generated_tokens_are_cached(run):
    assert run.first_step("chat").of("talk").num_computed_tokens == 8
    assert hit(run, "chat") == 8


@claim("A block that the prompt begins and the answer fills is cached like any other.",
       on=half_and_half, about=("cache hit", "decode"), vllm=ALLOCATE)
def test_a_block_of_prompt_and_answer_is_cached(run):
    assert run.steps[0].updated_state.cached_blocks == (1,) and run.steps[3].updated_state.cached_blocks == (1, 2)
    assert hit(run, "follow-up") == 8


@claim("The last token a request generates is never computed, so the block that it would fill is not cached.",
       on=conversation, about=("cache hit", "finish"), vllm=ALLOCATE)
def test_the_last_token_is_not_cached(run):
    assert len(run.outputs["talk"]) == 8 and run.first_step("follow-up").index == 9
    assert hit(run, "follow-up") == 8


# Four prompt tokens and eight of the answer are three full blocks.
@claim("A follow-up finds all full blocks of the question and the answer in the cache.",
       on=conversation, about=("cache hit", "finish"), vllm=ALLOCATE, misconception=True)
def test_a_follow_up_finds_the_whole_answer(run):
    assert hit(run, "follow-up") == 12, f"it finds {hit(run, 'follow-up')} tokens of 12"


@claim("A preempted request finds its own blocks when it resumes.",
       on=preempted, about=("resumption", "cache hit"), vllm=SCHEDULE)
def test_a_preempted_request_leaves_its_blocks_to_itself(run):
    share = next(share for step in run.steps for share in step.resumed)
    assert (share.num_computed_tokens, share.num_tokens) == (8, 3)
    assert share.new_block_ids[:2] == run.steps[0].of("b").new_block_ids[:2]


# So it was when prefix caching was off by default, and so texts on preemption by recomputation still tell it.
@claim("A preempted request computes everything again from its first token.",
       on=preempted, about="resumption", vllm=SCHEDULE, misconception=True)
def test_a_resumed_request_starts_from_nothing(run):
    share = next(share for step in run.steps for share in step.resumed)
    assert share.num_computed_tokens == 0, f"it starts from {share.num_computed_tokens} tokens"


@claim("With prefix caching off a preempted request computes its prompt and its output again from the first token.",
       on=preempted_without_cache, about="resumption", vllm=SCHEDULE)
def test_without_cache_a_resumed_request_starts_from_nothing(run):
    share = next(share for step in run.steps for share in step.resumed)
    assert (share.num_computed_tokens, share.num_tokens) == (0, 11)


@claim("Cached tokens cost nothing of the token budget: a prompt of 20 tokens, 16 of them cached, is admitted with a budget of 8 and no chunk.",
       on=in_chunks, about=("cache hit", "chunk"), vllm=SCHEDULE)
def test_cached_tokens_cost_no_budget(run):
    assert [share.num_tokens for share in run.shares("a")] == [8, 8, 1]
    assert [(share.num_computed_tokens, share.num_tokens) for share in run.shares("b")] == [(16, 4)]


@claim("Of a prompt that is computed in chunks, the chunks scheduled so far can be hit, this step's included.",
       on=overtaken, about=("cache hit", "chunk", "sharing within a step"), vllm=ALLOCATE)
def test_chunks_can_be_hit_one_by_one(run):
    assert [(share.num_computed_tokens, share.num_tokens) for share in run.shares("a")] == [(0, 13), (13, 8)]
    assert hit(run, "b") == 20 and run.first_step("b").index == 1


@claim("A request that asks for prompt logprobs reads nothing from the cache, not even if it asks for zero of them.",
       on=logprobs, about="cache hit", vllm="sampling_params.py::SamplingParams.__post_init__")
def test_prompt_logprobs_read_no_cache(run):
    assert hit(run, "reader") == 8 and hit(run, "scored") == 0
    assert run.first_step("scored").of("scored").num_tokens == 9


@claim("A request that asks for prompt logprobs writes its blocks into the cache for others.",
       on=logprobs, about="cache hit", vllm=ALLOCATE)
def test_prompt_logprobs_write_the_cache(run):
    assert run.first_step("reader").of("reader").new_block_ids[:2] == run.first_step("first").of("first").new_block_ids[:2]


@claim("A request may skip reading the cache.",
       on=logprobs, about="cache hit", vllm=SKIP)
def test_a_request_may_skip_reading(run):
    assert hit(run, "reader") == 8 and hit(run, "skipping") == 0


@claim("skip_reading_prefix_cache=False makes a request read the cache although it asks for prompt logprobs.",
       on=logprobs, about="cache hit", vllm=SKIP)
def test_a_request_may_insist_on_reading(run):
    assert hit(run, "insisting") == 8


@claim("Requests with the same cache salt share blocks.",
       on=salted, about="cache hit", vllm=EXTRA_KEYS)
def test_the_same_salt_shares(run):
    assert hit(run, "salted alike") == 12
    assert run.first_step("salted alike").of("salted alike").new_block_ids[:3] == run.first_step("salted").of("salted").new_block_ids[:3]


@claim("Requests with different salts, or with and without one, share no block.",
       on=salted, about="cache hit", vllm=EXTRA_KEYS)
def test_different_salts_share_nothing(run):
    assert hit(run, "salted") == 0 and hit(run, "salted otherwise") == 0


# The salt is hashed into the first block alone; the chain of hashes carries it on.
@claim("A cache salt separates the first block only: the later blocks of the same tokens are shared.",
       on=salted, about="cache hit", vllm=EXTRA_KEYS, misconception=True)
def test_a_salt_separates_the_first_block_only(run):
    own = run.first_step("salted").of("salted").new_block_ids
    assert own[1:3] == run.first_step("plain").of("plain").new_block_ids[1:3], f"it has blocks of its own: {own}"


@claim("An empty cache salt is none.",
       on=salted, about="cache hit", vllm=EXTRA_KEYS)
def test_an_empty_salt_is_none(run):
    assert hit(run, "empty salt") == 12
    assert run.first_step("empty salt").of("empty salt").new_block_ids[:3] == run.first_step("plain").of("plain").new_block_ids[:3]


@claim("Several sequences of one salted prompt keep its salt: they share with each other and with nobody else.",
       on=salted_family, about="sharing within a step", vllm=EXTRA_KEYS)
def test_children_keep_the_salt(run):
    assert hit(run, "plain") == 0 and hit(run, "0_p") == 0 and hit(run, "1_p") == 8


# vLLM's pull request 43569 would take such a block out of the cache again.
@claim("Under the priority policy a victim that had its share of the step already leaves a block in the cache "
       "that nobody has computed, and hits it when it resumes.",
       on=withdrawn, about=("preemption", "cache hit"), vllm=SCHEDULE)
def test_a_withdrawn_share_leaves_an_uncomputed_block(run):
    computed = sum(share.num_tokens for step in run.steps if not step.resumed for share in step.scheduled if share.request_id == "v")
    assert run.steps[2].preempted == ("v",) and run.steps[2].of("v") is None
    resumed = next(share for step in run.steps for share in step.resumed)
    assert computed == 20 and resumed.num_computed_tokens == 24
    assert resumed.new_block_ids[5] in run.steps[2].scheduled_state.cached_blocks


@claim("Whatever is hit in the cache has been computed, or is computed in the same step.",
       on=withdrawn, about=("preemption", "cache hit"), vllm=ALLOCATE, misconception=True)
def test_whatever_is_hit_has_been_computed(run):
    computed = 0
    for share in run.shares("v"):
        assert share.num_computed_tokens <= computed, f"v hits {share.num_computed_tokens} tokens, {computed} were ever computed"
        computed += share.num_tokens


@claim("Under the FCFS policy the victim has had no share of the step yet, and what is hit has been computed.",
       on=withdrawn.with_config(policy="fcfs"), about=("preemption", "cache hit"), vllm=SCHEDULE)
def test_fcfs_leaves_no_uncomputed_block(run):
    assert run.preemptions[0] == "u"
    for request_id in ("v", "u"):
        computed = 0
        for share in run.shares(request_id):
            assert share.num_computed_tokens <= computed
            computed += share.num_tokens
