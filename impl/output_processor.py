"""The output processor: from sampled tokens to what the user sees.

Mirrors `v1/engine/output_processor.py::OutputProcessor`.
"""
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tokenizers import Tokenizer

from impl.detokenizer import Detokenizer
from impl.outputs import EngineCoreOutput
from impl.request import Request
from impl.request_output import CompletionOutput, Logprob, RequestOutput
from impl.sampler import Sampled


@dataclass(slots=True)
class _Child:
    """One sequence of a request."""

    parent: RequestOutput
    completion: CompletionOutput
    detokenizer: Detokenizer | None


class OutputProcessor:
    """Keeps the text, the logprobs and the family ties of the requests that are under way."""

    def __init__(self, tokenizer: Tokenizer | None, abort: Callable[[str], None]):
        self.tokenizer, self.abort = tokenizer, abort
        self.children: dict[str, _Child] = {}

    def add(self, parent_id: str, prompt: str | None, requests: list[Request]) -> None:
        """Expect the outputs of a request's children (or of itself)."""
        parent = RequestOutput(parent_id, prompt, list(requests[0].prompt_token_ids), [], False)
        for index, request in enumerate(requests):
            params = request.sampling_params
            wanted = params.logprobs is not None
            completion = CompletionOutput(index, "", [], 0.0 if wanted else None, [] if wanted else None)
            parent.outputs.append(completion)
            detokenizer = Detokenizer(self.tokenizer, request.prompt_token_ids, params) if self.tokenizer else None
            self.children[request.request_id] = _Child(parent, completion, detokenizer)

    def process(self, outputs: list[EngineCoreOutput], sampled: Mapping[str, Sampled]) -> list[RequestOutput]:
        """Take in a step; returns the requests to which it has added something."""
        touched: dict[str, RequestOutput] = {}
        for output in outputs:
            child = self.children[output.request_id]
            self._extend(child, output, sampled[output.request_id])
            if child.completion.finished():
                del self.children[output.request_id]
            child.parent.finished = all(completion.finished() for completion in child.parent.outputs)
            touched[child.parent.request_id] = child.parent
        return list(touched.values())

    def forget(self, request_id: str) -> None:
        """Drop an aborted request."""
        self.children.pop(request_id, None)

    def _extend(self, child: _Child, output: EngineCoreOutput, sampled: Sampled) -> None:
        completion, stopped_by = child.completion, None
        for token_id in output.new_token_ids:
            completion.token_ids.append(token_id)
            if child.detokenizer:
                stopped_by = child.detokenizer.append(token_id, stops=output.finish_reason == "stop")
        if completion.logprobs is not None:
            completion.logprobs.append({token_id: Logprob(logprob, rank, self._decode(token_id))
                                        for token_id, (logprob, rank) in sampled.logprobs.items()})
            completion.cumulative_logprob += sampled.logprobs[output.new_token_ids[-1]][0]
        completion.finish_reason, completion.stop_reason = output.finish_reason, output.stop_reason
        if stopped_by is not None:
            if not completion.finish_reason:    # the scheduler knows no text: it has to be told
                self.abort(output.request_id)
            completion.finish_reason, completion.stop_reason = "stop", stopped_by
        if child.detokenizer:
            completion.text = child.detokenizer.visible(completion.finished())

    def _decode(self, token_id: int) -> str | None:
        return self.tokenizer.decode([token_id], skip_special_tokens=False) if self.tokenizer else None
