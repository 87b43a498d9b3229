"""What a user sees of the real vLLM before anything runs: names, defaults, refusals."""
import inspect

from reference.vllm_sampler import _vllm


def sampling_params(**params):
    """vLLM's `SamplingParams`. Raises what it raises."""
    return _vllm().SamplingParams(**params)


def sampling_params_from_optional(**params):
    return _vllm().SamplingParams.from_optional(**params)


def speculative_config(**given):
    """vLLM's `SpeculativeConfig`. Raises what it raises."""
    _vllm()
    from vllm.config import SpeculativeConfig
    return SpeculativeConfig(**given)


def defaults() -> dict:
    """The default of each sampling parameter, by name."""
    return {name: parameter.default for name, parameter in inspect.signature(_vllm().SamplingParams).parameters.items()}


def arguments(method: str) -> dict:
    """The arguments of a method of `LLM` and their defaults, by name."""
    import vllm
    return {name: parameter.default for name, parameter in inspect.signature(getattr(vllm.LLM, method)).parameters.items()}


def engine_arguments() -> set[str]:
    """What `LLM(...)` takes, by its own name or as an argument of the engine."""
    from vllm import EngineArgs
    return set(arguments("__init__")) | set(inspect.signature(EngineArgs).parameters)


def output_fields(name: str) -> list[str]:
    """The arguments of `RequestOutput` or `CompletionOutput`, or of `Logprob`, in their order."""
    import vllm.logprobs
    import vllm.outputs
    return list(inspect.signature(getattr(vllm.outputs, name, None) or getattr(vllm.logprobs, name)).parameters)
