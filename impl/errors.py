"""What can be wrong with what we are given, by name.

Every `InferLabError` is raised at the door, before any state has changed, and its
message says what was wrong and what to do. vLLM checks most of this above the
scheduler (`v1/engine/input_processor.py`, `config/scheduler.py`); its bare
scheduler trusts its caller.
"""


class InferLabError(ValueError):
    """The base of all errors about input."""


class InvalidConfigError(InferLabError):
    """A limit that cannot be, or two that contradict each other."""


class PoolTooSmallError(InferLabError):
    """The block pool cannot hold one sequence of `max_model_len` tokens."""


class InvalidSamplingParamsError(InferLabError):
    """A sampling parameter out of its range."""


class InvalidRequestError(InferLabError):
    """A request's id, parameters, priority or salt of the wrong type."""


class EmptyPromptError(InferLabError):
    """A prompt without a token."""


class PromptTooLongError(InferLabError):
    """A prompt that leaves no room for one generated token."""


class DuplicateRequestError(InferLabError):
    """A request id that is in use."""


class StepsInFlightError(InferLabError):
    """A step was decided, or taken in, out of its turn."""


class UnknownRequestError(InferLabError):
    """A request id that the scheduler does not know, or no longer."""


class WorkerError(RuntimeError):
    """The base of what ends a tensor-parallel engine while it runs; the message names the rank."""


class WorkerDiedError(WorkerError):
    """The process of a rank has ended."""


class WorkerHungError(WorkerError):
    """A rank lives and lets the others wait."""


class StepMismatchError(WorkerError):
    """A rank is about to compute something else than rank 0."""


class LostContactError(WorkerError):
    """A collective has failed, as some other rank does not take part; the executor finds out which."""
