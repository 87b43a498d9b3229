"""A timeline in the Trace Event Format, which Perfetto and chrome://tracing draw.

An engine is a process. Its first track holds the steps, and each request has a track of its own; blocks, tokens and
queues are counters. A step is 1 ms long, unless the timeline says when it really began and ended.
"""
import re

STEP_US = 1000      # the format counts in microseconds
STEPS_TRACK = 1


def trace_events(timeline: dict, pid: int, name: str, origin: float = 0.0) -> list[dict]:
    """All events of one engine. `origin` is the second that becomes 0, where steps carry a time."""
    return _Writer(timeline, pid, origin).events(name)


def is_measured(timeline: dict) -> bool:
    """Whether every step says when it began and ended."""
    return bool(timeline["steps"]) and all("time" in step for step in timeline["steps"])


def count_ids(ranges: str) -> int:
    """How many ids there are in "4-6 9": four."""
    bounds = [list(map(int, piece.split("-"))) for piece in ranges.split()]
    return sum(each[-1] - each[0] + 1 for each in bounds)


class _Writer:
    """Walks through the steps once, and remembers what the next one cannot tell by itself."""

    def __init__(self, timeline: dict, pid: int, origin: float):
        self.steps, self.limits, self.pid = timeline["steps"], timeline.get("limits") or {}, pid
        measured = is_measured(timeline)
        self.spans = [tuple((second - origin) * 1e6 for second in step["time"]) if measured else (index * STEP_US, (index + 1) * STEP_US)
                      for index, step in enumerate(self.steps)]
        self.tracks = {request_id: STEPS_TRACK + 1 + number for number, request_id in enumerate(_request_ids(timeline))}
        self.written: list[dict] = []
        self.open: dict[str, dict] = {}         # by request: its last slice, which goes on as long as nothing changes
        self.decoding: set[str] = set()         # has sampled a token since it was last admitted
        self.preempted: set[str] = set()        # and not resumed since
        self.ended: set[str] = set()

    def events(self, name: str) -> list[dict]:
        self._names(name)
        state = [[], [], None, "", None]        # until an engine has said what is free, nobody knows
        for index, (step, span) in enumerate(zip(self.steps, self.spans)):
            state = step.get("state", state)
            self._step(index, step, span)
            self._requests(step, state, span)
            self._counters(step, state, span[0])
            state = step.get("updated", state)
        if self.steps:
            self._counters({}, state, self.spans[-1][1])
        return self.written

    def _names(self, name: str) -> None:
        self._meta("process_name", 0, name=name)
        self._meta("process_sort_index", 0, sort_index=self.pid)
        for label, track in {None: STEPS_TRACK, **self.tracks}.items():
            self._meta("thread_name", track, name="steps" if label is None else f"request {label}")
            self._meta("thread_sort_index", track, sort_index=track)

    def _step(self, index: int, step: dict, span: tuple) -> None:
        told = {"requests": len(step.get("scheduled", ())), "tokens": _tokens(step)}
        told |= {name: step[name] for name in ("preempted", "finished", "refused", "errors", "resets", "reasons") if name in step}
        self._slice(STEPS_TRACK, f"step {index}", "step", span, told)
        for done in step.get("resets", ()):
            self._instant(STEPS_TRACK, "prefix cache reset" if done else "prefix cache not reset", span[0])

    def _requests(self, step: dict, state: list, span: tuple) -> None:
        shares = {share[0]: share for share in step.get("scheduled", ())}
        self._departures(step, span[0])
        for request_id in step.get("preempted", ()):
            self.preempted.add(request_id)
            self._instant(self.tracks[request_id], "preempted", span[0])
        for request_id, share in shares.items():
            self._share(share, step, span)
        for request_id in state[1]:
            self._idle(request_id, "preempted" if request_id in self.preempted else "waiting", step, span)
        for request_id in state[0]:
            if request_id not in shares:
                self._idle(request_id, "running, not scheduled", step, span)
        for request_id, tokens, *end in step.get("outputs", ()):
            if tokens:
                self.decoding.add(request_id)
            if end and end[0]:
                self.ended.add(request_id)
                self._instant(self.tracks[request_id], f"finished: {end[0]}", span[1])

    def _departures(self, step: dict, at: float) -> None:
        """Refused on arrival; or gone without a last output, which is an abort. Workers are told of every end, one step late."""
        for request_id in step.get("refused", ()):
            self._instant(self.tracks[request_id], "refused", at)
        for request_id in step.get("finished", ()):
            if request_id not in self.ended:
                self._instant(self.tracks[request_id], "aborted", at)
            for remembered in (self.decoding, self.preempted, self.ended):
                remembered.discard(request_id)      # its id may come again

    def _share(self, share: list, step: dict, span: tuple) -> None:
        """What a request was given in a step: part of its prompt, or the room for one more token."""
        request_id, kind, tokens, computed, blocks, *drafts = share
        track = self.tracks[request_id]
        if kind != "running":
            self.preempted.discard(request_id)
            self.decoding.discard(request_id)
            if computed:
                self._instant(track, "cache hit", span[0], {"tokens": computed})
        name = "decode" if request_id in self.decoding else "prefill"
        told = {"kind": kind, "tokens": tokens, "computed tokens": computed, "new blocks": blocks, **_told_of(request_id, step)}
        told |= {"drafts": drafts[0]} if drafts else {}
        sampled = [token for output in step.get("outputs", ()) if output[0] == request_id for token in output[1]]
        told |= {"sampled": sampled} if sampled else {}
        text = (step.get("text") or {}).get(request_id)
        told |= {"text": text} if text else {}
        self.open.pop(request_id, None)
        self._slice(track, name, name, span, told)

    def _idle(self, request_id: str, name: str, step: dict, span: tuple) -> None:
        """One slice for as many steps as there is nothing new to say."""
        told, last = _told_of(request_id, step), self.open.get(request_id)
        if last and (last["name"], last["args"]) == (name, told) and last["until"] == span[0]:
            last["event"]["dur"], last["until"] = span[1] - last["event"]["ts"], span[1]
        else:
            event = self._slice(self.tracks[request_id], name, name.split(",")[0], span, told)
            self.open[request_id] = {"name": name, "args": told, "until": span[1], "event": event}

    def _counters(self, step: dict, state: list, at: float) -> None:
        running, waiting, free, cached, *_ = state
        if free is not None:
            blocks, pool = {"free": count_ids(free)}, self.limits.get("num_blocks")
            if pool:
                blocks["used"] = pool - 1 - blocks["free"]      # block 0 belongs to nobody
            self._counter("blocks", at, blocks)
            self._counter("cached blocks", at, {"cached": count_ids(cached)})
        tokens, budget = {"scheduled": _tokens(step)}, self.limits.get("max_num_batched_tokens")
        self._counter("tokens", at, tokens | ({"budget": budget} if budget else {}))
        self._counter("requests", at, {"running": len(running), "waiting": len(waiting)})

    def _slice(self, track: int, name: str, category: str, span: tuple, args: dict) -> dict:
        event = {"ph": "X", "name": name, "cat": category, "pid": self.pid, "tid": track, "ts": span[0], "dur": span[1] - span[0], "args": args}
        self.written.append(event)
        return event

    def _instant(self, track: int, name: str, at: float, args: dict | None = None) -> None:
        self.written.append({"ph": "i", "s": "t", "name": name, "cat": "event", "pid": self.pid, "tid": track, "ts": at, "args": args or {}})

    def _counter(self, name: str, at: float, values: dict) -> None:
        self.written.append({"ph": "C", "name": name, "pid": self.pid, "tid": 0, "ts": at, "args": values})

    def _meta(self, what: str, track: int, **args) -> None:
        self.written.append({"ph": "M", "name": what, "pid": self.pid, "tid": track, "ts": 0, "args": args})


def _tokens(step: dict) -> int:
    return sum(share[2] for share in step.get("scheduled", ()))


def _told_of(request_id: str, step: dict) -> dict:
    """The reasons that speak of this request: each begins with its id."""
    reasons = [reason for reason in step.get("reasons", ()) if reason.startswith(f"{request_id} ")]
    return {"reasons": reasons} if reasons else {}


def _request_ids(timeline: dict) -> list[str]:
    """Every id of the run, children ("0_a") where their request ("a") stands. One that is only a parent has no track."""
    parents = [request["id"] for request in timeline.get("requests", ())]
    seen: dict[str, None] = {}
    for step in timeline["steps"]:
        named = [share[0] for share in step.get("scheduled", ())] + [output[0] for output in step.get("outputs", ())]
        for state in (step.get("state"), step.get("updated")):
            named += [*state[0], *state[1]] if state else []
        seen |= dict.fromkeys([*named, *step.get("preempted", ()), *step.get("finished", ()), *step.get("refused", ())])
    order = {request_id: number for number, request_id in enumerate(parents)}
    return sorted(seen, key=lambda each: order.get(each, order.get(re.sub(r"^\d+_", "", each), len(order))))
