"""More exhibits: bugs of model runners, samplers and detokenizers, each with a claim that notices it.

What a model computes no sentence can say beforehand: these are found out by the
comparison with what vLLM generated.
"""
from typing import NamedTuple

from spec.museum.mutant import Mutant


class EngineMutant(NamedTuple):
    mutant: Mutant
    noticed_by: str     # a claim, by its name


def _of(name: str, story: str, file: str, old: str, new: str, noticed_by: str) -> EngineMutant:
    return EngineMutant(Mutant(name, story, file, old, new), noticed_by)


MODEL = [
    _of("rope-pairs-neighbours",
        "Each coordinate is turned with its neighbour (GPT-J's way) and not with the one half a head away. Weights that were permuted "
        "for one way are garbage in the other, and the first token has no position to notice it by.",
        "torch_ops.py", "return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)",
        "return torch.addcmul(x * cos, x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2), sin)", "test_the_best_token_behind_each_length"),
    _of("rope-frequencies-unscaled",
        "The llama3 scaling of the slow frequencies is ignored. Up to the original context of 256 tokens a trained model hardly minds.",
        "layers.py", 'if rope.get("rope_type", "default") != "llama3":', "if True:", "test_texts_of_the_corpus"),
    _of("query-norm-without-weight",
        "Qwen3 normalises its queries, per head, and then scales them by a weight: that weight is forgotten.",
        "models/qwen3.py", "self.q_norm.weight.expand(self.num_heads, -1)", "torch.ones_like(self.q_norm.weight).expand(self.num_heads, -1)",
        "test_texts_of_the_corpus"),
    _of("another-epsilon",
        "The norms use an epsilon from somewhere else: hardly a token changes, and each logprob does.",
        "torch_ops.py", "add_(eps)", "add_(1e-3)", "test_texts_of_the_corpus"),
    _of("heads-share-the-wrong-key",
        "Query head h reads KV head h modulo the number of KV heads, and not its neighbours' one.",
        "attention.py", "queries = queries.reshape(num_requests, num_kv_heads, -1, head_dim)",
        "queries = queries.reshape(num_requests, -1, num_kv_heads, head_dim).transpose(1, 2)", "test_the_best_token_behind_each_length"),
]

RUNNER = [
    _of("slot-mapping-off-by-one",
        "A token's key goes into the next slot of its block. As long as a block is written and read alike nobody notices; at its end it "
        "comes full circle and overwrites the first.",
        "attention.py", "slots = block_tables[request, positions // block_size] * block_size + positions % block_size",
        "slots = block_tables[request, positions // block_size] * block_size + (positions + 1) % block_size", "test_texts_of_the_corpus"),
    _of("last-token-not-seen",
        "The mask ends one token too early in a chunk that has something before it.",
        "attention.py", "last_seen = seq_lens[:, None, None, None] - size + numpy.arange(size)[:, None]",
        "last_seen = seq_lens[:, None, None, None] - size + numpy.arange(size)[:, None] - (size > 1)", "test_chunks_change_nothing"),
    _of("future-tokens-seen",
        "A chunk behind a cached prefix is not masked: its first tokens see its last.",
        "attention.py", "seen = tokens <= last_seen", "seen = tokens <= last_seen + size - 1", "test_cache_hits_change_nothing_that_is_said"),
    _of("stale-block-table-row",
        "A resumed request keeps the row it had before its preemption, and reads blocks that belong to others now.",
        "block_tables.py", "self.length[request_id] = 0\n", "self.length.setdefault(request_id, 0)\n", "test_preemption_changes_nothing_that_is_said"),
    _of("block-appended-at-the-front",
        "A new block is written over the first entry of the table.",
        "block_tables.py", "self.array[self.row[request_id], start:end] = block_ids", "self.array[self.row[request_id], :len(block_ids)] = block_ids",
        "test_batch_mates_change_nothing"),
    _of("first-row-sampled",
        "Of a chunk the logits of the first token are sampled, not of the last.",
        "model_runner.py", "done = [(row - 1, requests[share.request_id])", "done = [(row - share.num_tokens, requests[share.request_id])",
        "test_texts_of_the_corpus"),
    _of("sampled-too-early",
        "A chunk of a prompt that is not computed to its end is sampled as well.",
        "model_runner.py", "if share.num_computed_tokens + share.num_tokens == requests[share.request_id].num_tokens]",
        "if share.num_computed_tokens + share.num_tokens <= requests[share.request_id].num_tokens]", "test_a_token_for_whoever_is_through"),
]

SAMPLER = [
    _of("top-p-loses-the-boundary-token",
        "The token with which the sum crosses top_p is left out, where it is the last to stay.",
        "logits_processors.py", "left_out = ascending.softmax(-1).cumsum(-1) <= 1 - top_p",
        "left_out = ascending.softmax(-1).cumsum(-1) - 0 * ascending <= 1 - top_p + ascending.softmax(-1)", "test_the_token_that_crosses_top_p_stays"),
    _of("top-k-drops-ties",
        "The k-th best is left out, and whoever ties with it.",
        "logits_processors.py", "masked_fill(logits < best.gather(1, top_k.long() - 1), NEVER)", "masked_fill(logits <= best.gather(1, top_k.long() - 1), NEVER)",
        "test_top_k_leaves_k"),
    _of("min-p-is-absolute",
        "min_p is taken as a probability, not as a share of the best one's.",
        "logits_processors.py", "probabilities < probabilities.amax(-1, keepdim=True) * min_p", "probabilities < min_p", "test_min_p_is_relative"),
    _of("temperature-last",
        "The filters see the model's own probabilities, and the temperature comes behind them.",
        "logits_processors.py", "    return logits\n\n\ndef keep_min_p",
        "    return logits / column('temperature', everybody)\n\n\ndef keep_min_p", "test_the_temperature_divides_the_logits"),
    _of("a-seed-for-all",
        "One generator for all requests with a seed: what one draws, the next one misses.",
        "sampler.py", "self.generators[request.request_id] = torch.Generator().manual_seed(request.sampling_params.seed)\n        return self.generators[request.request_id]",
        "self.generators[request.request_id] = next(iter(self.generators.values()), None) or torch.Generator().manual_seed("
        "request.sampling_params.seed)\n        return self.generators[request.request_id]", "test_a_seed_holds_in_a_crowd"),
    _of("children-of-one-seed",
        "All children of a request draw with the same seed, and say the same.",
        "parallel_sampling.py", "params.seed + index for index", "params.seed + 0 * index for index", "test_sequences_grow_side_by_side"),
    _of("presence-counts-the-prompt",
        "The presence and frequency penalties count the prompt, as the repetition penalty does.",
        "logits_processors.py", "token_ids, counts = torch.tensor(output, device=logits.device).unique(return_counts=True)",
        "token_ids, counts = torch.tensor(request.token_ids, device=logits.device).unique(return_counts=True)",
        "test_a_presence_penalty_counts_once"),
    _of("repetition-divides-negative-logits",
        "A negative logit is divided by the penalty too, which makes its token more likely.",
        "logits_processors.py", "torch.where(logits[seen] > 0, logits[seen] / params.repetition_penalty, logits[seen] * params.repetition_penalty)",
        "logits[seen] / params.repetition_penalty", "test_a_repetition_penalty_counts_the_prompt"),
    _of("min-tokens-one-short",
        "The end may come with the last of the tokens that min_tokens asks for, not behind it.",
        "logits_processors.py", "if len(output) < params.min_tokens:", "if len(output) + 1 < params.min_tokens:", "test_min_tokens_forbids_the_ends"),
    _of("logprobs-after-the-penalties",
        "What is reported are the probabilities the sampler used, not the model's own.",
        "sampler.py", 'logits if self.logprobs_mode.startswith("raw") else processed', "processed", "test_logprobs_are_of_the_model"),
    _of("rank-from-zero",
        "The likeliest token has rank 0.",
        "logprobs.py", "enumerate(zip(rivals, values), 1)", "enumerate(zip(rivals, values), 0)", "test_ranks_count_from_one"),
    _of("prompt-logprobs-one-late",
        "The logprob of each prompt token is taken from the position of the token itself.",
        "logprobs.py", "request.prompt_token_ids[first + 1:first + 1 + num_rows]", "request.prompt_token_ids[first:first + num_rows]",
        "test_texts_of_the_corpus"),
]

TEXT = [
    _of("text-without-its-prompt",
        "The detokenizer does not know the prompt, so that the first word loses its space.",
        "detokenizer.py", "DecodeStream(ids=list(prompt_token_ids), skip", "DecodeStream(ids=[], skip", "test_no_text_of_the_prompt_in_the_output"),
    _of("stop-string-within-one-token",
        "A stop string is looked for in the new text alone: one that began with the token before is missed.",
        "detokenizer.py", "max(0, len(self.text) - num_new - len(stop) + 1)", "max(0, len(self.text) - num_new)", "test_a_stop_string_across_tokens"),
    _of("nothing-held-back",
        "The beginning of a stop string is shown, and taken back when it has come to its end.",
        "detokenizer.py", "return self.text if finished or not self.held_back else self.text[:-self.held_back]", "return self.text", "test_as_much_is_held_back_as_a_stop_string_is_long"),
    _of("stop-string-left-in",
        "The stop string stays in the text though nobody asked for it.",
        "detokenizer.py", "self.text = self.text[:end if self.params.include_stop_str_in_output else start]", "self.text = self.text[:end]",
        "test_a_stop_string_across_tokens"),
]

DRAFTS = [
    _of("a-draft-too-many",
        "The token behind the first wrong draft is said as well, though the model was told something wrong before it.",
        "rejection_sampler.py", "said = rows[:num_right + 1]", "said = rows[:num_right + 2]", "test_drafts_change_nothing_that_is_said"),
    _of("bonus-forgotten",
        "Where all drafts are right, the token on top of them is dropped, and computed again.",
        "rejection_sampler.py", "said = rows[:num_right + 1]", "said = rows[:max(1, min(num_right + 1, len(drafts)))]", "test_a_step_says_one_more_than_was_right"),
    _of("rejected-drafts-kept",
        "Nothing is verified: whatever was drafted is said.",
        "rejection_sampler.py", "return Sampled([token_id for row in said for token_id in row.token_ids],\n                   [ranked for row in said",
        "return Sampled([*drafts, *rows[-1].token_ids],\n                   [ranked for row in rows", "test_drafts_change_nothing_that_is_said"),
    _of("verified-without-looking-back",
        "Penalties and bad words do not see the drafts in front of a token: what two tokens make together is let through.",
        "rejection_sampler.py", "later.token_ids = request.token_ids + list(accepted)", "later.token_ids = list(request.token_ids)", "test_drafts_count_as_said"),
    _of("one-logprob-for-all",
        "All tokens of a step are given the logprobs of the first.",
        "rejection_sampler.py", "[ranked for row in said for ranked in row.logprobs]", "[row.logprobs[0] | said[0].logprobs[0] for row in said]",
        "test_each_token_has_its_logprobs"),
    _of("drafts-taken-for-known-tokens",
        "A request with drafts is thought to be in the middle of its prompt, and nothing is sampled.",
        "model_runner.py", "if share.num_computed_tokens + share.num_tokens - len(share.spec_token_ids) == requests[share.request_id].num_tokens]\n        rows",
        "if share.num_computed_tokens + share.num_tokens == requests[share.request_id].num_tokens]\n        rows", "test_rejected_drafts_cost_tokens_and_no_steps"),
    _of("logits-of-the-draft-before",
        "Each draft is compared with what the model says behind it, not before it.",
        "model_runner.py", "for row in range(end - 1 - len(share.spec_token_ids), end)]",
        "for row in (*range(end - len(share.spec_token_ids), end), end - 1)]", "test_repetition_takes_fewer_steps"),
    _of("the-nearest-place",
        "Of several places where the last tokens occurred, the latest is followed, as in other engines.",
        "ngram_proposer.py", "    start = token_ids.index(last[0])        # at the latest, where the last n begin\n    while token_ids[start:start + n] != last:\n"
        "        start = token_ids.index(last[0], start + 1)\n    return start if start < len(token_ids) - n else None",
        "    return next((start for start in range(len(token_ids) - n - 1, -1, -1) if token_ids[start:start + n] == last), None)",
        "test_the_longest_and_earliest_is_followed"),
    _of("the-shortest-n-gram",
        "The search begins with one token, and stops where that occurred.",
        "ngram_proposer.py", "range(min(max_n, len(token_ids) - 1), min_n - 1, -1)", "range(min_n, min(max_n, len(token_ids) - 1) + 1)",
        "test_the_longest_and_earliest_is_followed"),
    _of("drafts-of-a-context-that-is-full",
        "That a long batch mate leaves no room for drafts is asked of each request for itself.",
        "ngram_proposer.py", "self._drafts(request) if fits else", "self._drafts(request) if True else", "test_a_long_request_spoils_nobody_elses_drafts"),
    _of("drafts-against-the-grammar",
        "Drafts are scheduled that the grammar will not let come.",
        "ngram_proposer.py", "return request.grammar.matcher.validate(drafts) if request.grammar else drafts", "return drafts",
        "test_drafts_that_break_the_grammar_are_not_computed"),
    _of("the-grammar-runs-ahead",
        "The grammar follows the drafts to say what may come behind them, and is not taken back.",
        "grammar_compiler.py", "        self.matcher.rollback(len(token_ids))\n", "", "test_drafts_follow_the_grammar"),
    _of("tokens-behind-a-stop-string",
        "The text ends at the stop string, and the tokens of the step behind it stay.",
        "output_processor.py", "                if stopped_by is not None:\n                    break", "                if stopped_by is not None:\n                    continue",
        "test_nothing_is_said_behind_a_stop_string"),
]

ENGINE_MUTANTS = MODEL + RUNNER + SAMPLER + TEXT + DRAFTS
