"""Keeps every beginning of a stop string in a dict, and tries each length for the end of the text, the longest first."""

FAILS = {"test_a_long_stop_string_costs_no_more": "do not try every length"}


class StopChecker:
    def __init__(self, stop, include_in_output=False):
        if "" in stop:
            raise ValueError("an empty stop string stops everything")
        begins = {string[:length] for string in stop for length in range(1, len(string) + 1)}
        self._begins = {begin: next((string for string in stop if begin.endswith(string)), None) for begin in begins}
        self._longest = max(map(len, stop), default=1)
        self._include, self._tail, self._held, self.stopped = include_in_output, "", "", None

    def feed(self, text):
        shown = ""
        for character in text if self.stopped is None else "":
            self._tail = (self._tail + character)[-self._longest:]
            self._held += character
            hold = 0
            for length in range(len(self._tail), 0, -1):
                if self._tail[-length:] in self._begins:
                    hold = length
                    break
            self.stopped = self._begins[self._tail[-hold:]] if hold else None
            if self.stopped is not None:
                hold = len(self.stopped)
            end = len(self._held) - (0 if self._include else hold)
            shown, self._held = shown + self._held[:end], self._held[end:]
            if self.stopped is not None:
                self._held = ""
                break
        return shown

    def finish(self):
        held, self._held = self._held, ""
        return held
