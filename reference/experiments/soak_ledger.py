"""The book of the soak: who is under way, and whether each gets what it asked for, once."""
from dataclasses import dataclass, field
from time import perf_counter

from impl.request_output import RequestOutput
from reference.experiments.soak_traffic import Asked


@dataclass
class Entry:
    asked: Asked
    came: float
    told: float | None = None                               # when its first token came
    ended: dict[int, str] = field(default_factory=dict)     # by sequence, how


class Ledger:
    """`expected`: the tokens of each sentinel. What is wrong goes to `complain`."""

    def __init__(self, expected: list[list[int]], max_model_len: int, complain):
        self.expected, self.max_model_len, self.complain = expected, max_model_len, complain
        self.under_way: dict[str, Entry] = {}
        self.counts = {"asked": 0, "done": 0, "aborted": 0, "ended with an error": 0, "refused": 0, "tokens": 0, "sentinels": 0}
        self.first_tokens: list[float] = []     # seconds, of each request since the last sample
        self.of_round: list[float] = []         # the same, since the engine was drained

    def came(self, request_id: str, asked: Asked) -> None:
        self.under_way[request_id] = Entry(asked, perf_counter())
        self.counts["asked"] += 1

    def take(self, outputs: list[RequestOutput]) -> None:
        """What a step has told."""
        for output in outputs:
            entry = self.under_way.get(output.request_id)
            if entry is None:
                self.complain(f"{output.request_id} is told of, and is not under way")
                continue
            if entry.told is None and output.outputs[0].token_ids:
                entry.told = perf_counter()
                self.first_tokens.append(entry.told - entry.came)
                self.of_round.append(entry.told - entry.came)
            completion = output.outputs[0]
            if completion.index in entry.ended:
                self.complain(f"{output.request_id}: sequence {completion.index} has ended before, by {entry.ended[completion.index]}")
            if completion.finish_reason:
                entry.ended[completion.index] = completion.finish_reason
                self.counts["tokens"] += len(completion.token_ids)
                for wrong in self._wrong(entry.asked, output, completion):
                    self.complain(f"{output.request_id}, {wrong}; {entry.asked.params}")
            if output.finished:
                self._close(output.request_id, entry)

    def aborted(self, request_id: str, outputs: list[RequestOutput]) -> None:
        """What an abort has given back: all of its sequences that had not ended, and no other."""
        entry = self.under_way.pop(request_id)
        last = {output.outputs[0].index for output in outputs}
        if last | entry.ended.keys() != set(range(entry.asked.params.n)) or last & entry.ended.keys():
            self.complain(f"{request_id} was aborted: {sorted(last)} came back, {sorted(entry.ended)} had ended, and it has n={entry.asked.params.n}")
        if any(output.outputs[0].finish_reason != "abort" for output in outputs):
            self.complain(f"{request_id} was aborted, and a sequence says otherwise")
        self.counts["aborted"] += 1

    def _close(self, request_id: str, entry: Entry) -> None:
        del self.under_way[request_id]
        if len(entry.ended) != entry.asked.params.n:
            self.complain(f"{request_id} is finished with {sorted(entry.ended)} of n={entry.asked.params.n} sequences")
        self.counts["ended with an error" if entry.asked.broken else "done"] += 1

    def _wrong(self, asked: Asked, output: RequestOutput, completion) -> list[str]:
        params, number = asked.params, len(completion.token_ids)
        room = self.max_model_len - len(output.prompt_token_ids)
        most = min(params.max_tokens or room, room)
        wrong = []
        if (completion.finish_reason == "error") != asked.broken or completion.finish_reason == "abort":
            wrong.append(f"it ended by {completion.finish_reason}: {completion.stop_reason}")
        if completion.finish_reason == "length" and number != most or number > most:
            wrong.append(f"it ended by {completion.finish_reason} after {number} tokens, and there was room for {most}")
        if completion.finish_reason == "stop" and number < params.min_tokens:
            wrong.append(f"it stopped after {number} tokens, before min_tokens")
        if params.logprobs is not None and len(completion.logprobs) != number:
            wrong.append(f"it has {number} tokens and {len(completion.logprobs)} logprobs")
        if params.prompt_logprobs is not None and not asked.broken and len(output.prompt_logprobs or ()) != len(output.prompt_token_ids):
            wrong.append(f"{len(output.prompt_logprobs or ())} prompt_logprobs of {len(output.prompt_token_ids)} tokens")
        if asked.sentinel is not None:
            self.counts["sentinels"] += 1
            if completion.token_ids != self.expected[asked.sentinel]:
                wrong.append(f"sentinel {asked.sentinel} says {completion.token_ids}, and said {self.expected[asked.sentinel]} when it was alone")
        return wrong
