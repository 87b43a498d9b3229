"""`--predict`: say what you believe before vLLM is asked.

The sentence is shown, and the answer is on the disk, before the claim's test begins. A misconception is asked like any
other sentence: yes means that vLLM does so.
"""
import sys
import time

import pytest

from reports.plain_text import for_terminal
from reports.predictions import GUESSING, Prediction, append, brier, claim_hash, read
from spec.bench.claim import Claim

QUESTION = "Does vLLM {version} do so? y(es), n(o), w(orkload), Enter skips, q stops asking: "
CONFIDENCE = "How sure are you, from 50 (a guess) to 100 (certain)? "
MODES = ("once", "again")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("inferlab").addoption(
        "--predict", nargs="?", const="once", default=None, metavar="again",
        help="ask what you believe of each claim before vLLM is asked; --predict=again also asks what you have answered before")


def pytest_configure(config: pytest.Config) -> None:
    mode = config.getoption("predict")
    if mode is None:
        return
    if mode not in MODES:
        raise pytest.UsageError(f"--predict={mode}: it is --predict or --predict=again; write --predict after what is to be run")
    option = config.option
    if hasattr(config, "workerinput") or getattr(option, "numprocesses", None) or getattr(option, "tx", None):
        raise pytest.UsageError("--predict asks one question at a time: leave out -n")
    _give_back_the_terminal(config)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise pytest.UsageError("--predict asks a person: run it in a terminal, with neither a pipe nor a file before or behind it")
    config.pluginmanager.register(Predictor(config, again=mode == "again"), "inferlab-predictor")


class Predictor:
    """One run's questions. `known` holds the latest prediction on each question, of this run or an earlier one."""

    def __init__(self, config: pytest.Config, again: bool):
        self.config, self.again, self.stopped = config, again, False
        self.path = config.rootpath / "reports" / "predictions.jsonl"
        self.known = {prediction.claim: prediction for prediction in read(self.path)}
        self.asked: set[str] = set()
        self.revealed: list[Prediction] = []
        self.thought = 0.0      # seconds the last question took: they are not the test's

    # Around the capturing of output, which takes the terminal only afterwards.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item):
        self.thought = 0.0
        if claims := getattr(getattr(item, "function", None), "claims", None):
            began = time.monotonic()
            self._consider(item, claims[0])
            self.thought = time.monotonic() - began
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if call.when == "call":
            report.duration = max(0.0, report.duration - self.thought)
            if claims := getattr(getattr(item, "function", None), "claims", None):
                self._reveal(item, self.known.get(self._hash(claims[0])))
        return report

    def pytest_terminal_summary(self, terminalreporter):
        if self.revealed:
            terminalreporter.section("predictions")
            held = sum(prediction.right for prediction in self.revealed)
            terminalreporter.write_line(f"{held} of {len(self.revealed)} were right; Brier score {brier(self.revealed):.2f} "
                                        f"(0 is perfect, {GUESSING} is guessing). All of them: make progress")

    def _hash(self, claim: Claim) -> str:
        """Of the first model's claim, if there are several: what one model does says what the other will."""
        return claim_hash(claim.sentence, _workload(claim), self.config.lab_bench.reference.version)

    def _consider(self, item: pytest.Item, claim: Claim) -> None:
        """Ask, unless it has been asked."""
        key = self._hash(claim)
        if self.stopped or key in self.asked or key in self.known and not self.again or self.config.lab_bench.lacks(claim):
            return
        self.asked.add(key)
        _give_back_the_terminal(self.config)
        version = self.config.lab_bench.reference.version
        try:
            answer = ask(claim.sentence, _workload(claim), version)
        except EOFError:
            answer, self.stopped = None, True
        if answer == "stop":
            self.stopped = True
        elif answer:
            record = {"claim": key, "nodeid": item.nodeid, "theme": claim.theme, "sentence": claim.sentence, "vllm": version,
                      "holds": answer[0], "confidence": answer[1]}
            if self._store("prediction", **record):
                self.known[key] = Prediction(**record, time="")

    def _reveal(self, item: pytest.Item, prediction: Prediction | None) -> None:
        """Write the truth beside an open prediction, and say it."""
        truth = truth_of(item) if prediction and prediction.truth is None else None
        if truth is None:
            return
        prediction.truth, prediction.verdict = truth, item.lab_claim["verdict"]
        self._store("truth", claim=prediction.claim, vllm=prediction.vllm, verdict=prediction.verdict, holds=truth)
        self.revealed.append(prediction)
        print(f"\nvLLM {prediction.vllm} {'does' if truth else 'does not do'} so ({prediction.verdict}). "
              f"You said {prediction}: {'right' if prediction.right else 'WRONG'}.", flush=True)
        if not prediction.right:
            print(for_terminal((item.lab_claim["finding"] or {}).get("headline", "")), flush=True)
            print(f"What did you learn? Write it down: make log CLAIM={item.nodeid.partition('[')[0].rpartition('::')[2]}", flush=True)

    def _store(self, kind: str, **record) -> bool:
        """A disk that is full or read-only ends the questions, never the run."""
        try:
            append(self.path, kind, **record)
        except OSError as error:
            self.stopped = True
            print(f"This could not be stored, so nothing more is asked: {error}", flush=True)
        return not self.stopped


def ask(sentence: str, workload: str, version: str) -> tuple[bool, float] | str | None:
    """Yes or no and a confidence; "stop" to be asked no more, None to skip this one."""
    print(f"\n\n{for_terminal(sentence)}\n", flush=True)
    while (answer := input(QUESTION.format(version=version)).strip().lower()) not in ("y", "yes", "n", "no"):
        if answer in ("", "q"):
            return "stop" if answer else None
        if answer in ("w", "workload"):
            print(f"\n{for_terminal(workload)}\n", flush=True)
    while (confidence := input(CONFIDENCE).strip().rstrip(" %")) != "":
        if confidence == "q":
            return "stop"
        if confidence.isdecimal() and 50 <= int(confidence) <= 100:
            return answer[0] == "y", int(confidence)
    return None


def truth_of(item: pytest.Item) -> bool | None:
    """Whether vLLM does as the sentence says; None if that was not found out."""
    verdict = getattr(item, "lab_claim", {}).get("verdict")
    if verdict in ("CONFIRMED", "REFUTED"):
        return verdict == "CONFIRMED"
    if verdict != "DIVERGED":
        return None
    # Then the engines part, which says nothing of the sentence: it is asked of vLLM's runs, which are at hand by now.
    claims = item.function.claims
    claim = claims[item.callspec.indices["model"]] if hasattr(item, "callspec") else claims[0]
    return claim.objection([item.config.lab_bench.reference.run(asked).run for asked in claim.on]) is None


def _workload(claim: Claim) -> str:
    return "\n\n".join(asked.source() for asked in claim.on)


def _give_back_the_terminal(config: pytest.Config) -> None:
    """pytest keeps standard input to itself, even between tests; it takes all back when the next phase of a test begins."""
    if capture := config.pluginmanager.getplugin("capturemanager"):
        capture.suspend(in_=True)
