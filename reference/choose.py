"""Which reference answers: the real vLLM here and now, or a recording of it."""
import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

from reference import cassette
from reference.instruments import Instruments
from reference.play import play
from reference.prompts import Prompts
from reference.trace import Run
from reference.vllm_ngram import has_numba
from reference.vllm_scheduler import VllmEngine, installed_version
from reference.vllm_server import ask_server
from reference.workload import Workload

PINNED_VERSION = "0.32.0"   # the version this lab is about, and recorded
MODES = {
    "auto": "a recording of this very workload by the installed vLLM, or else the real one",
    "live": "the real vLLM, always",
    "compare": "the real vLLM, always, and it must do what was recorded",
    "recorded": "recordings only; vLLM is not imported",
    "record": "the real vLLM, and what it does is written down",
}


class NoReference(Exception):
    """Nobody here can say what vLLM does with a workload. The message names the remedy."""


@dataclass
class Answer:
    """A run of vLLM and where it comes from."""

    run: Run
    mode: str       # "live" or "recorded"
    version: str
    date: str
    device: str = "cpu"


@dataclass
class Reference:
    mode: str = "auto"
    server: str | None = None       # the socket of the process that holds the real LLM; None: this one does
    device: str = "cpu"             # where the real LLM computes
    instruments: Instruments | None = None      # what is put on the real scheduler while a claim is asked of it
    answers: dict[str, Answer] = field(default_factory=dict)

    @property
    def where(self) -> dict[str, str]:
        """What our LLM is told so that it computes where vLLM's does."""
        return {} if self.device == "cpu" else {"device": self.device}

    @property
    def asks_vllm(self) -> bool:
        """Whether it is the real vLLM that answers, and nobody else."""
        return self.mode in ("live", "compare", "record")

    @cached_property
    def version(self) -> str:
        """The version of vLLM that is asked, or whose recordings are read."""
        return PINNED_VERSION if self.mode == "recorded" else installed_version() or PINNED_VERSION

    @cached_property
    def date(self) -> str:
        """When the newest recording of this version was made; today if none is read."""
        if self.asks_vllm:
            return datetime.date.today().isoformat()
        return cassette.newest_date(self.version) or "never"

    def run(self, workload: Workload | Prompts) -> Answer:
        """What vLLM does with a workload. Raises `NoReference`."""
        if workload.key not in self.answers:
            self.answers[workload.key] = self._ask(workload)
        return self.answers[workload.key]

    def require(self) -> None:
        """Raise `NoReference` if this mode cannot work here."""
        if self.asks_vllm and not installed_version():
            raise NoReference(f"--reference={self.mode} needs vLLM, and none is installed: run 'make spec' once, "
                              "or use --reference=recorded")

    def live(self, workload: Workload | Prompts, attach: Callable[[object], None] | None = None) -> Run:
        """What the real vLLM does with a workload, here and now. `attach` is called with its scheduler; it needs the engine in this process."""
        if not isinstance(workload, Prompts):
            return play(workload, partial(VllmEngine, attach=attach), "vllm")
        if self.server:
            return ask_server(self.server, workload)
        from reference.vllm_llm import vllm_generation     # sets the environment of the process up for a whole engine
        return vllm_generation(workload, attach)

    def _ask(self, workload: Workload) -> Answer:
        if self.mode in ("auto", "recorded"):
            recorded = recording(workload, self.version, self.device)
            if recorded:
                return Answer(recorded[0], "recorded", self.version, recorded[1])
            if self.mode == "recorded" or not installed_version():
                raise NoReference(f"vLLM {self.version} was not recorded with this workload; "
                                  "with vLLM installed ('make spec'), '--reference=record' records it")
        if self.mode == "record" and isinstance(workload, Prompts) and self.device != "cpu":
            raise NoReference("what a model says is recorded with vLLM's build for CPUs ('LAB=cpu make setup'), and the one here is for GPUs")
        if isinstance(workload, Prompts) and "speculative_config" in workload.limits and not has_numba():
            raise NoReference("vLLM's n-gram proposer is compiled by numba, and there is none here: 'make setup' installs it")
        watched: list[dict[str, str]] = []
        run = self.live(workload, self.instruments and partial(self.instruments.attach, watched=watched))
        run.watched = watched
        if self.mode == "record":
            cassette.save(run, self.version)
        return Answer(run, "live", self.version, datetime.date.today().isoformat(), self.device)


def recording(workload: Workload | Prompts, version: str, device: str) -> tuple[Run, str] | None:
    """A recording of vLLM's run, and its date; None if there is none that counts on `device`: what models say was recorded on a CPU."""
    return None if isinstance(workload, Prompts) and device != "cpu" else cassette.load(workload, version)
