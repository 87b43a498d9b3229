"""The output processor: from sampled tokens to what the user sees.

Mirrors `v1/engine/output_processor.py::OutputProcessor` and `v1/engine/logprobs.py::LogprobsProcessor`.
"""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from impl.detokenizer import LONGEST_CHARACTER, Detokenizer, decode_alone
from impl.logprobs import Ranked
from impl.outputs import NEW, EngineCoreOutput, SchedulerOutput
from impl.request import Request
from impl.request_output import CompletionOutput, Logprob, RequestOutput
from impl.sampler import Sampled


@dataclass(slots=True)
class _Child:
    """One sequence of a request. `family`: the sequences of the same request that are under way, this one included."""

    output: RequestOutput
    completion: CompletionOutput
    family: set[str]
    tokenizer: Tokenizer | None
    detokenizer: Detokenizer | None


class OutputProcessor:
    """Keeps the text, the logprobs and the family ties of the requests that are under way."""

    def __init__(self, tokenizer: Tokenizer | None, abort: Callable[[str], None]):
        self.tokenizer, self.abort_sequence = tokenizer, abort
        self.children: dict[str, _Child] = {}
        self.families: dict[str, set[str]] = {}

    def add(self, parent_id: str, prompt: str | None, requests: list[Request]) -> None:
        """Expect the outputs of a request's children (or of itself)."""
        family = self.families[parent_id] = {request.request_id for request in requests}
        for index, request in enumerate(requests):
            params = request.sampling_params
            tokenizer = self.tokenizer if params.detokenize else None
            wanted = params.logprobs is not None
            self.children[request.request_id] = _Child(
                RequestOutput(parent_id, prompt, list(request.prompt_token_ids), None, [], False),
                CompletionOutput(index, "", [], 0.0 if wanted else None, [] if wanted else None), family, tokenizer,
                Detokenizer(tokenizer, request.prompt_token_ids, params) if tokenizer else None)

    def note_admitted(self, output: SchedulerOutput) -> None:
        """Take down how much of a prompt was in the prefix cache. What a preempted request finds there is its own work."""
        for share in output.scheduled:
            if share.kind == NEW:
                self.children[share.request_id].output.num_cached_tokens = share.num_computed_tokens

    def process(self, outputs: list[EngineCoreOutput], sampled: Mapping[str, Sampled]) -> list[RequestOutput]:
        """Take in a step; returns what it has added, sequence by sequence, each with all of its text and tokens so far."""
        return [self._extend(self.children[output.request_id], output, sampled[output.request_id]) for output in outputs]

    def abort_request(self, parent_id: str) -> dict[str, RequestOutput]:
        """Drop a request; returns, of each of its sequences that were under way, what it has come to."""
        last = {}
        for request_id in sorted(self.families.get(parent_id, ())):
            child = self.children[request_id]
            child.completion.finish_reason = "abort"
            if child.detokenizer:
                child.completion.text = child.detokenizer.visible(finished=True)
            last[request_id] = self._output(child, request_id)
        return last

    def _extend(self, child: _Child, output: EngineCoreOutput, sampled: Sampled) -> RequestOutput:
        """Take in the tokens of a step, which with drafts may be several. What is behind a stop string was never said."""
        completion, stopped_by, last = child.completion, None, len(output.new_token_ids) - 1
        if sampled.prompt_logprobs is not None:
            child.output.prompt_logprobs = self._of_prompt(child, sampled.prompt_logprobs)
        for index, token_id in enumerate(output.new_token_ids):
            if completion.logprobs is not None:
                completion.logprobs.append(_decoded(child.tokenizer, sampled.logprobs[index], completion.token_ids[-LONGEST_CHARACTER:]))
                completion.cumulative_logprob += sampled.logprobs[index][token_id][0]
            completion.token_ids.append(token_id)
            if child.detokenizer:
                stopped_by = child.detokenizer.append(token_id, stops=output.finish_reason == "stop" and index == last)
                if stopped_by is not None:
                    break
        completion.finish_reason, completion.stop_reason = output.finish_reason, output.stop_reason
        if stopped_by is not None:
            if not completion.finish_reason:    # the scheduler knows no text: it has to be told
                self.abort_sequence(output.request_id)
            completion.finish_reason, completion.stop_reason = "stop", stopped_by
        if child.detokenizer:
            completion.text = child.detokenizer.visible(completion.finished())
        return self._output(child, output.request_id)

    def _output(self, child: _Child, request_id: str) -> RequestOutput:
        """What the user gets now. A sequence that has finished is dropped, and the last of a request takes it along."""
        if child.completion.finished():
            del self.children[request_id]
            child.family.remove(request_id)
            if not child.family:
                del self.families[child.output.request_id]
        told, so_far = child.output, child.completion
        return RequestOutput(told.request_id, told.prompt, told.prompt_token_ids, told.prompt_logprobs, [
            CompletionOutput(so_far.index, so_far.text, so_far.token_ids, so_far.cumulative_logprob, so_far.logprobs,
                             so_far.finish_reason, so_far.stop_reason)], not child.family, told.num_cached_tokens)

    def _of_prompt(self, child: _Child, ranked: list[Ranked]) -> list[dict[int, Logprob] | None]:
        """Nothing predicts the first token, so it has no logprob."""
        token_ids = child.output.prompt_token_ids
        return [None] + [_decoded(child.tokenizer, told, token_ids[max(1, position - LONGEST_CHARACTER):position]) for position, told in enumerate(ranked, 1)]


def _decoded(tokenizer: Tokenizer | None, ranked: Ranked, before: Sequence[int]) -> dict[int, Logprob]:
    return {token_id: Logprob(logprob, rank, decode_alone(tokenizer, token_id, before) if tokenizer else None)
            for token_id, (logprob, rank) in ranked.items()}
