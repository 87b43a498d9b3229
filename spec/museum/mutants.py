"""The exhibits: bugs that real engines have had, and what older engines did, each as a change of impl's text.

`old` must occur exactly once in its file, so that a change of impl cannot turn
a mutant off unseen. A number names the issue or pull request where the bug, or
the old behaviour, can be read about.
"""
from typing import NamedTuple


class Mutant(NamedTuple):
    name: str
    story: str      # what goes wrong, and where it was seen
    file: str       # in impl
    old: str
    new: str


BLOCKS = [
    Mutant("head-freed-first",
           "A finished request's blocks are freed head first, so eviction takes the block that all later ones depend on, and the "
           "rest of the chain is kept in vain. The rule that the longer prefix goes first is in vLLM's RFC #2614.",
           "block_manager.py",
           "self.pool.free(reversed(self.block_tables.pop(request.request_id, ())))",
           "self.pool.free(self.block_tables.pop(request.request_id, ()))"),
    Mutant("useless-blocks-last",
           "Freed blocks that can serve nobody queue up behind the cached ones, which are evicted for them. nano-vllm appends every "
           "freed block; vLLM did too, and PR #33710 asked for the change.",
           "block_pool.py",
           "(reuse_first if block.block_hash is None else evict_last).append(block)",
           "evict_last.append(block)"),
    Mutant("evicts-the-newest",
           "The free list is a stack: what was freed last is overwritten first, and the prefix cache forgets what was just used. "
           "So it was in the V0 engine's allocator without caching, and is in many a small engine.",
           "block_pool.py",
           "        for block in evict_last:\n            self.free_queue.append(block)",
           "        for block in evict_last:\n            self.free_queue.prepend(block)"),
    Mutant("null-block-given-out",
           "Block 0 is not set aside and goes to a request, whose keys and values are then taken for padding. "
           "kvcached PR #398: the output was garbled, the same way each time.",
           "block_pool.py",
           "self.null_block = self.free_queue.popleft()",
           "self.null_block = self.blocks[0]"),
    Mutant("hit-stays-free",
           "A cache hit on a free block leaves it in the free queue, so that the next allocation overwrites what two requests read. "
           "nano-vllm PR #243 warns of exactly this corruption.",
           "block_pool.py",
           "            if block.ref_cnt == 0:\n                self.free_queue.remove(block)\n",
           ""),
    Mutant("hit-without-a-reference",
           "A shared block does not count its second owner: it is free as soon as the first one finishes, and is given to a third.",
           "block_pool.py",
           "            block.ref_cnt += 1\n",
           "            block.ref_cnt = 1\n"),
    Mutant("freed-while-shared",
           "Whoever finishes first frees a shared block for all, and the next one frees it again. A double free that broke the free "
           "list is vLLM issue #42571.",
           "block_pool.py",
           "            block.ref_cnt -= 1\n            if",
           "            block.ref_cnt = 0\n            if"),
    Mutant("hits-on-free-cost-nothing",
           "A hit on a free block is not counted as needed, though it leaves the free queue: admission promises blocks that are not "
           "there. Discussed in vLLM PR #11565; fixed in ATOM, after nano-vllm, by PR #902.",
           "block_manager.py",
           "hits_on_free = sum(block.ref_cnt == 0 for block in computed_blocks)",
           "hits_on_free = 0"),
    Mutant("hits-cost-as-much",
           "Admission wants free blocks for the whole prompt, as if none of it were shared: a full pool turns away a request that is "
           "cached in blocks in use. nano-vllm's first can_allocate; the V0 engine's, vLLM PR #3402.",
           "block_manager.py",
           "needed = self._blocks_for(request.num_tokens) - len(computed_blocks) + hits_on_free",
           "needed = self._blocks_for(request.num_tokens)"),
    Mutant("prompt-taken-at-once",
           "Admission takes the blocks of the whole prompt, not of the first chunk: blocks lie idle while the prompt is computed. "
           "The V0 engine did so, and vLLM PR #21793 wanted it back.",
           "block_manager.py",
           "num_new_blocks = self._blocks_for(num_tokens + num_lookahead_tokens) - len(computed_blocks)",
           "num_new_blocks = self._blocks_for(request.num_tokens) - len(computed_blocks)"),
    Mutant("a-block-in-advance",
           "A request that needs a block gets another one ahead of its needs, while others run out. "
           "V1 allocated ahead until vLLM PR #16941.",
           "block_manager.py",
           "        return self._extend(request, needed, num_tokens)",
           "        if needed > 0:\n            needed = min(needed + 1, self.pool.num_free_blocks)\n"
           "        return self._extend(request, needed, num_tokens)"),
    Mutant("lost-at-an-abort",
           "An aborted request keeps its blocks for ever, and the pool shrinks with every client that hangs up. "
           "The case of an abort during a KV transfer is vLLM issue #46283.",
           "scheduler.py",
           "            request.status = RequestStatus.FINISHED_ABORTED\n            self._finish(request)",
           "            request.status = RequestStatus.FINISHED_ABORTED\n"
           "            self.finished_req_ids.append(request.request_id)\n            del self.requests[request.request_id]"),
]

PREFIX_CACHE = [
    Mutant("whole-prompt-hit",
           "A prompt that is cached to its very end leaves no token to compute, so there are no logits to sample from. "
           "nano-vllm issue #144: the attention kernel was called with no query.",
           "block_manager.py",
           "longest = (request.num_tokens - 1) // self.block_size",
           "longest = request.num_tokens // self.block_size"),
    Mutant("cached-after-the-step",
           "Blocks enter the cache only once they are computed, so identical prompts that are admitted in one step are each computed. "
           "nano-vllm PR #243.",
           "block_manager.py",
           "num_full = min(num_tokens, request.num_tokens) // self.block_size",
           "num_full = request.num_computed_tokens // self.block_size"),
    Mutant("hash-without-the-prefix",
           "A block is known by its own tokens alone, so the same words after another beginning hit keys and values that depend on the "
           "wrong past. That the prefix belongs into the hash is what vLLM's RFC #2614 starts from.",
           "block_hash.py",
           "parent = chain[-1] if chain else ROOT_HASH",
           "parent = ROOT_HASH"),
    Mutant("partial-block-hashed",
           "A block's hash is taken before the block is full, and stays. The V0 engine hashed partial blocks: vLLM PR #5188.",
           "block_hash.py",
           "len(token_ids) - block_size + 1, block_size):",
           "len(token_ids), block_size):"),
    Mutant("salt-ignored",
           "Tenants with different salts share blocks, and one learns from the latency what another asked. CVE-2025-46570, which the "
           "salt answers in vLLM PR #17045; a connector forgot it again, PR #51640.",
           "block_hash.py",
           "salt = ((\"cache_salt\", cache_salt),) if cache_salt and start == 0 else None",
           "salt = None"),
    Mutant("answers-not-cached",
           "Only prompts are cached, so the next turn of a conversation computes the previous answer again, and so does a request "
           "that was preempted. As in TensorRT-LLM issue #1043, and in V1's first draft until the review of vLLM PR #9972.",
           "block_manager.py",
           "num_full = min(num_tokens, request.num_tokens) // self.block_size",
           "num_full = min(num_tokens, request.num_prompt_tokens) // self.block_size"),
    Mutant("evicted-but-found",
           "An evicted block keeps its entry in the map, and a later request is served what overwrote it. "
           "nano-vllm issue #163; in vLLM's V0 engine, PR #4761.",
           "block_pool.py",
           "            if block.block_hash is not None:\n                self._evict(block)\n",
           ""),
    Mutant("forgotten-when-freed",
           "A block leaves the cache when it is freed, not when it is given out again: only requests that overlap in time share. "
           "Proposed for nano-vllm in PR #153.",
           "block_pool.py",
           "            if block.ref_cnt == 0:\n                (reuse_first",
           "            if block.ref_cnt == 0:\n                if block.block_hash is not None:\n"
           "                    self._evict(block)\n                (reuse_first"),
    Mutant("duplicate-evicts-its-twin",
           "The eviction of one of two equal blocks makes the cache forget the other as well. kvcached PR #402.",
           "block_pool.py",
           "        duplicates = self.cached_blocks[block.block_hash]\n        del duplicates[block.block_id]\n"
           "        if not duplicates:\n            del self.cached_blocks[block.block_hash]\n",
           "        self.cached_blocks.pop(block.block_hash, None)\n"),
    Mutant("last-duplicate-wins",
           "Of equal blocks the newest is served, so that hits spread over all of them and none becomes free. In nano-vllm the later "
           "block overwrites the earlier one's entry: PR #243.",
           "block_pool.py",
           "return next(iter(duplicates.values())) if duplicates else None",
           "return next(reversed(duplicates.values())) if duplicates else None"),
    Mutant("prompt-logprobs-from-cache",
           "A request that wants the logprobs of its prompt is served from the cache, which has none. "
           "It crashed V0: vLLM issues #3251 and #8268.",
           "sampling_params.py",
           "return self.prompt_logprobs is None",
           "return True"),
    Mutant("reset-forgets-nothing",
           "The reset says that it succeeded, and the next request is served keys and values of the old weights. "
           "In vLLM's offloading tier: issue #57727.",
           "block_pool.py",
           "        self.cached_blocks.clear()\n",
           ""),
    Mutant("reset-under-way",
           "The cache is reset while requests hold blocks, so that half of each comes from the old weights. vLLM refuses, "
           "and a caller may overlook that: PR #28827.",
           "block_pool.py",
           "        if self.num_free_blocks != self.num_blocks - 1:\n            return False\n",
           ""),
    Mutant("reset-spares-who-runs",
           "A reset that should preempt the running requests does not, and is refused because of them. "
           "So it was after a pause: vLLM PR #34382.",
           "scheduler.py",
           "        if reset_running_requests:\n",
           "        if False:\n"),
    Mutant("reset-turns-the-queue-round",
           "A reset puts the running requests back in the wrong order: who came last is served first.",
           "scheduler.py",
           "self._preempt(self.running.pop())",
           "self._preempt(self.running.pop(0))"),
    Mutant("in-flight-output-kept",
           "A request that was preempted by a reset between schedule and update still takes the token of the step in flight.",
           "scheduler.py",
           "if request is None or request.status is not RequestStatus.RUNNING:",
           "if request is None:"),
    Mutant("hit-rate-flattered",
           "A preempted request finds its own blocks, and the statistics count them as hits: 32 % on random prompts. "
           "vLLM issue #25780.",
           "block_manager.py",
           "self.stats.record(request.num_tokens, num_hits, request.num_preemptions > 0)",
           "self.stats.record(request.num_tokens, num_hits, False)"),
    Mutant("hits-counted-in-blocks",
           "The statistics count blocks where they promise tokens. V1 did until vLLM PR #18003.",
           "block_manager.py",
           "self.stats.record(request.num_tokens, num_hits, request.num_preemptions > 0)",
           "self.stats.record(request.num_tokens // self.block_size, num_hits // self.block_size, request.num_preemptions > 0)"),
    Mutant("every-attempt-counted",
           "A request that is looked up and then not admitted is counted anew at every step it waits. vLLM issue #43736.",
           "scheduler.py",
           "            if refusal:\n",
           "            if refusal:\n                self.block_manager.record_stats(request, num_computed_tokens)\n"),
]

PREEMPTION = [
    Mutant("first-victim",
           "The oldest request is preempted, not the newest: the one with the most to lose, and who came first is served last.",
           "scheduler.py",
           "return self.running[-1]",
           "return self.running[0]"),
    Mutant("preempted-to-the-back",
           "A preempted request queues up behind those who have not started yet: it loses its turn with its blocks.",
           "request_queue.py",
           "self._requests.appendleft(request)",
           "self._requests.append(request)"),
    Mutant("output-lost",
           "A preempted request forgets what it has generated and starts anew from its prompt, though the client has seen the tokens. "
           "PaddlePaddle FastDeploy PR #3080.",
           "scheduler.py",
           "        request.num_computed_tokens = 0\n        request.num_preemptions += 1",
           "        request.num_computed_tokens = 0\n        request.num_preemptions += 1\n"
           "        del request.token_ids[request.num_prompt_tokens:]"),
    Mutant("admits-after-preempting",
           "The step that preempted goes on to admit, often its own victim, which is preempted again at the next block. "
           "A near relative is vLLM issue #25538.",
           "scheduler.py",
           "            if step.preempted:\n                return step.note(",
           "            if False:\n                return step.note("),
    Mutant("victim-keeps-its-share",
           "Under the priority policy a victim may have been scheduled in this very step; it stays in the output without blocks. "
           "It crashed V1: vLLM issue #23347.",
           "scheduler.py",
           "taken = self.scheduled.pop(request.request_id, None)",
           "taken = None"),
    Mutant("budget-lost-with-the-victim",
           "A victim's share is taken back, but not its tokens: the others go without, though the step has room.",
           "scheduler.py",
           "        if taken:\n            self.token_budget += taken.num_tokens",
           ""),
    Mutant("skips-behind-a-victim",
           "When the victim stood before the request being served, the place in the list is not corrected, and the next request gets "
           "nothing. vLLM issue #49097.",
           "scheduler.py",
           "                index = self.running.index(request)\n",
           "                pass\n"),
]

PRIORITY = [
    Mutant("priority-ignored",
           "The policy is accepted and the queue stays first come, first served. vLLM issue #9272.",
           "scheduler.py",
           "PriorityQueue() if config.policy == \"priority\" else FCFSQueue()",
           "FCFSQueue()"),
    Mutant("most-urgent-victim",
           "Priorities are read the wrong way round when a victim is chosen: the most urgent request has to go.",
           "scheduler.py",
           "return max(self.running, key=lambda request: (request.priority, request.arrival_time))",
           "return min(self.running, key=lambda request: (request.priority, request.arrival_time))"),
    Mutant("oldest-equal-victim",
           "Among equally urgent requests the one that came first is preempted.",
           "scheduler.py",
           "key=lambda request: (request.priority, request.arrival_time))",
           "key=lambda request: (request.priority, -request.arrival_time))"),
    Mutant("ties-by-id",
           "Equal priorities are served in the order of their ids, not of their arrival: the heap's entry lacks the time.",
           "request_queue.py",
           "(request.priority, request.arrival_time, request.request_id, request))",
           "(request.priority, 0.0, request.request_id, request))"),
    Mutant("preempted-before-its-equals",
           "A preempted request goes before all of its priority. vLLM does not do so under this policy, "
           "and issue #41951 takes that for a bug.",
           "request_queue.py",
           "    put_back = add\n",
           "    def put_back(self, request: Request) -> None:\n"
           "        heapq.heappush(self._heap, (request.priority, float(\"-inf\"), request.request_id, request))\n"),
]

ADMISSION = [
    Mutant("first-come-by-the-clock",
           "First come, first served is read off the arrival times, which callers may set, and not off the queue. "
           "The V0 engine's FCFS policy.",
           "request_queue.py",
           "        self._requests.append(request)",
           "        self._requests = deque(sorted([*self._requests, request], key=lambda queued: queued.arrival_time))"),
    Mutant("overtaking",
           "Whoever fits is admitted, past those who wait for more room; a long prompt may starve. "
           "vLLM blocks at the head of the queue, and issue #31731 asks for the opposite.",
           "scheduler.py",
           "            if refusal:\n",
           "            if refusal:\n                self.waiting.remove(request)\n                self._schedule_waiting(step)\n"
           "                self.waiting.put_back(request)\n"),
    Mutant("refused-to-the-back",
           "A request that does not fit is put back at the end of the queue and loses its turn. "
           "vLLM PR #33522 describes how skipped requests change places.",
           "scheduler.py",
           "            if refusal:\n",
           "            if refusal:\n                self.waiting.add(self.waiting.pop())\n"),
    Mutant("first-chunk-is-enough",
           "A request is admitted as soon as its first chunk fits, runs out of blocks half-way and is preempted, again and again. "
           "vLLM's way before PR #37307, which saw 100 tokens a second become 1.5.",
           "scheduler.py",
           "reserve_full_prompt=self.config.scheduler_reserve_full_isl",
           "reserve_full_prompt=False"),
    Mutant("watermark-ignored",
           "Admission fills the pool to the last block, and the next step has to preempt. "
           "V1 had no watermark before vLLM PR #44594.",
           "block_manager.py",
           "watermark = self.watermark_blocks if keep_watermark else 0",
           "watermark = 0"),
    Mutant("watermark-when-idle",
           "The watermark is kept free although nothing runs that could need it: a prompt that fits into the pool waits for ever. "
           "vLLM PR #44594 exempts the first request.",
           "scheduler.py",
           "keep_watermark=num_running > 0",
           "keep_watermark=True"),
    Mutant("watermark-for-who-runs",
           "Running requests must not touch the watermark either, so they are preempted while the blocks kept for them are free.",
           "block_manager.py",
           "needed > self.pool.num_free_blocks:",
           "needed + self.watermark_blocks > self.pool.num_free_blocks:"),
    Mutant("active-limit-ignored",
           "`max_num_active_seqs` is accepted and `max_num_seqs` applied.",
           "scheduler.py",
           "config.max_num_active_seqs or config.max_num_seqs",
           "config.max_num_seqs"),
    Mutant("prompts-first",
           "A step that admits does nothing else, so whoever generates stands still while prompts come in. "
           "The V0 engine and nano-vllm; vLLM issue #11067 is the complaint.",
           "scheduler.py",
           "            self._schedule_running(step)\n            self._schedule_waiting(step)",
           "            self._schedule_waiting(step)\n            if not step.scheduled:\n                self._schedule_running(step)"),
    Mutant("paused-but-admitting",
           "With admission paused, new requests start all the same, on weights that are about to be replaced.",
           "scheduler.py",
           "if self.pause_state is PauseState.PAUSED_NEW:",
           "if False:"),
    Mutant("paused-but-running",
           "Paused altogether, the scheduler goes on. What a pause has to stop is in vLLM's RFC #32103.",
           "scheduler.py",
           "if self.pause_state is PauseState.PAUSED_ALL:",
           "if False:"),
    Mutant("workers-not-told",
           "The workers are not told who has finished, keep its state, and meet its id again as if it went on. "
           "A case of this crashed V1: vLLM issue #15041.",
           "scheduler.py",
           "        self.block_manager.free(request)\n        self.finished_req_ids.append(request.request_id)\n",
           "        self.block_manager.free(request)\n"),
    Mutant("aborted-but-queued",
           "A request that is aborted while it waits stays in the queue, and is scheduled when nobody knows it any more. "
           "The crash is that of vLLM issue #42157.",
           "scheduler.py",
           "            else:\n                self.waiting.remove(request)\n",
           ""),
    Mutant("aborted-in-flight",
           "The tokens of a request that was aborted while the model ran find no owner, and the engine dies with a KeyError. "
           "vLLM issue #579; tenstorrent's, #145.",
           "scheduler.py",
           "request = self.requests.get(scheduled.request_id)",
           "request = self.requests[scheduled.request_id]"),
    Mutant("same-id-twice",
           "A second request with an id that is in use takes the first one's place in the books. vLLM issue #10583.",
           "scheduler.py",
           "if request.request_id in self.requests:",
           "if False:"),
    Mutant("empty-prompt-taken",
           "A prompt without a token is accepted, and there is nothing to schedule. "
           "One such request took the whole engine down: vLLM issue #7632.",
           "scheduler.py",
           "if request.num_prompt_tokens == 0:",
           "if False:"),
    Mutant("children-queue-up",
           "The children of one prompt (n > 1) arrive one after the other, so that a stranger comes between them.",
           "parallel_sampling.py",
           "arrival_time=request.arrival_time,",
           "arrival_time=request.arrival_time + index,"),
    Mutant("children-without-salt",
           "The children of a salted prompt (n > 1) lose the salt, and share their blocks with everybody.",
           "parallel_sampling.py",
           ", cache_salt=request.cache_salt)",
           ")"),
]

CHUNKS = [
    Mutant("cut-with-chunking-off",
           "With chunked prefill off a prompt is cut all the same. In V1 the switch had no effect: vLLM issue #20914.",
           "scheduler.py",
           "if not self.config.enable_chunked_prefill and",
           "if False and"),
    Mutant("no-cap-on-long-prompts",
           "A long prompt takes the whole budget and the short ones behind it wait. V1 before vLLM PR #15419.",
           "scheduler.py",
           "        capped = self.capped(num_tokens)\n",
           "        capped = num_tokens\n"),
    Mutant("capped-when-alone",
           "A request that is alone is cut to the long-prefill threshold, though there is nobody to starve. "
           "vLLM before PR #57951.",
           "scheduler.py",
           "self.config.long_prefill_token_threshold if num_requests > 1 else 0",
           "self.config.long_prefill_token_threshold if num_requests else 0"),
    Mutant("adaptive-cap-blind-to-the-queue",
           "The adaptive cap divides the budget among those who run, and forgets those who wait for a share.",
           "scheduler.py",
           "self.config.max_num_batched_tokens // num_requests",
           "self.config.max_num_batched_tokens // max(len(self.running), 1)"),
]

ENDS = [
    Mutant("ignore-eos-ignored",
           "A request that should ignore the end of sequence ends there, and a benchmark measures fewer tokens than it asked for. "
           "TensorRT-LLM PR #12358 is about such runs.",
           "request.py",
           "if token_id == params.eos_token_id and not params.ignore_eos:",
           "if token_id == params.eos_token_id:"),
    Mutant("stop-tokens-ignored",
           "Only EOS ends a request, and a model whose turns end with another token talks on. "
           "Llama 3 in vLLM issue #4180.",
           "request.py",
           "elif token_id in params.stop_token_ids:",
           "elif False:"),
    Mutant("length-before-stop",
           "The lengths are checked first, so a request that says all it has to say in its last token seems to be cut off. "
           "V1's check_stop of early 2025.",
           "request.py",
           "        if token_id == params.eos_token_id and not params.ignore_eos:\n",
           "        if len(self.token_ids) >= max_model_len or self.num_output_tokens >= self.max_tokens:\n"
           "            self.status = RequestStatus.FINISHED_LENGTH_CAPPED\n"
           "        elif token_id == params.eos_token_id and not params.ignore_eos:\n"),
    Mutant("stop-token-before-eos",
           "The end of sequence, when it is among the stop tokens too, is reported as a stop token. "
           "vLLM PR #5849 keeps the two apart.",
           "request.py",
           "        if token_id == params.eos_token_id and not params.ignore_eos:\n",
           "        if token_id in params.stop_token_ids:\n"
           "            self.status, self.stop_reason = RequestStatus.FINISHED_STOPPED, token_id\n"
           "        elif token_id == params.eos_token_id and not params.ignore_eos:\n"),
    Mutant("min-tokens-before-all",
           "Nothing is checked before `min_tokens` is reached, not even `max_model_len`, and the request runs past it. "
           "vLLM from PR #26317 on, where it then never ended: PR #51299.",
           "request.py",
           "        if token_id == params.eos_token_id and not params.ignore_eos:\n",
           "        if self.num_output_tokens < params.min_tokens:\n            return False\n"
           "        if token_id == params.eos_token_id and not params.ignore_eos:\n"),
    Mutant("no-max-tokens",
           "A request without `max_tokens` has no limit to be compared with. The engine crashed in vLLM issue #6707.",
           "scheduler.py",
           "            request.max_tokens = room\n",
           "            pass\n"),
    Mutant("one-past-max-model-len",
           "A request may grow one token beyond `max_model_len`. vLLM PR #26168 allowed it, and #26332 took it back.",
           "request.py",
           "len(self.token_ids) >= max_model_len",
           "len(self.token_ids) > max_model_len"),
    Mutant("one-past-max-tokens",
           "A request generates one token more than it may.",
           "request.py",
           "self.num_output_tokens >= self.max_tokens",
           "self.num_output_tokens > self.max_tokens"),
]

LIMITS = [
    Mutant("seats-without-tokens",
           "More seats than tokens in a step are allowed, so that some of the running requests can never get one.",
           "config.py",
           "self.max_num_batched_tokens >= self.max_num_seqs",
           "self.max_num_batched_tokens >= 1"),
    Mutant("unchunkable-prompts",
           "Without chunked prefill a token budget below `max_model_len` is allowed: a prompt longer than the budget waits for ever "
           "and blocks all others.",
           "config.py",
           "self.enable_chunked_prefill or self.max_num_batched_tokens >= self.max_model_len",
           "True"),
    Mutant("any-policy",
           "An unknown policy is taken for first come, first served, so a typing error goes unnoticed.",
           "config.py",
           "self.policy in POLICIES",
           "True"),
    Mutant("null-block-counted",
           "The pool's size is compared with `max_model_len` as if the null block could be used: the longest sequence the engine "
           "promises to serve can never be finished.",
           "config.py",
           "usable = self.num_blocks - 1",
           "usable = self.num_blocks"),
]

SPECULATION = [
    Mutant("no-rollback",
           "What was computed for rejected drafts counts as computed: the next step starts behind tokens that were never said, and "
           "their keys and values are those of the wrong ones.",
           "speculation.py",
           "            request.num_computed_tokens -= len(drafts) - num_accepted\n",
           ""),
    Mutant("drafts-cached",
           "A block is cached as soon as drafts fill it. They have no hash of their own yet; so the engine looks for one and crashes. "
           "vLLM caps what it caches at the tokens that are certain.",
           "block_manager.py",
           "num_full = min(num_tokens, request.num_tokens) // self.block_size",
           "num_full = num_tokens // self.block_size"),
    Mutant("drafts-survive-preemption",
           "A preempted request keeps its drafts. When it is back, and nobody proposes new ones, those of another time are computed.",
           "scheduler.py",
           "        request.num_preemptions += 1\n        request.spec_token_ids = ()",
           "        request.num_preemptions += 1"),
    Mutant("drafts-within-a-prompt",
           "What a proposer guesses in the middle of a prompt is taken for drafts, though the prompt says what comes next.",
           "scheduler.py",
           "() if request.is_prefill_chunk else tuple(token_ids)",
           "tuple(token_ids)"),
    Mutant("drafts-used-twice",
           "Drafts stay when they have been scheduled, and come again in the next step, in the wrong places, if nobody proposes new ones.",
           "speculation.py",
           "        drafts, request.spec_token_ids = request.spec_token_ids[:max(num_drafts, 0)], ()\n        return drafts\n",
           "        return request.spec_token_ids[:max(num_drafts, 0)]\n"),
    Mutant("no-room-for-the-bonus",
           "Drafts are computed up to the very end of the context, where the token that comes on top has no position.",
           "speculation.py",
           "self.max_model_len - request.num_computed_tokens - 1)",
           "self.max_model_len - request.num_computed_tokens)"),
    Mutant("drafts-for-free",
           "The budget of a step cuts the tokens of a request, but what was cut of its drafts is verified all the same.",
           "speculation.py",
           "request.spec_token_ids[:max(num_drafts, 0)], ()",
           "request.spec_token_ids, ()"),
    Mutant("no-placeholders",
           "A request that joins decodes comes with one token, so that the batch is not uniform and its CUDA graph cannot be used.",
           "scheduler.py",
           "        if num_missing_tokens != 1 or step.num_prefills:\n",
           "        if True:\n"),
    Mutant("lookahead-forgotten",
           "The slots in which a proposer writes ahead are not reserved: it writes into a block that belongs to somebody else.",
           "speculation.py",
           "return min(self.num_lookahead_tokens, self.max_model_len - num_tokens)",
           "return 0"),
]

MUTANTS = [*BLOCKS, *PREFIX_CACHE, *PREEMPTION, *PRIORITY, *ADMISSION, *CHUNKS, *ENDS, *LIMITS, *SPECULATION]
