"""The real `LLM` in this process, behind the door of `impl.llm.LLM`, speaking our value types.

One engine per checkpoint and limits, shared by the whole pytest process: engines live
side by side, and an old one that is destroyed breaks its successor, so none ever is.
"""
import functools
import os

from impl.request_output import CompletionOutput, Logprob, RequestOutput
from impl.sampling_params import SamplingParams
from reference.vllm_scheduler import QUIET

# Set here, not when vLLM is asked for: torch reads some of it when it is imported, and our engine imports torch too.
# With dynamo on, the first generate alone takes minutes.
for name, value in QUIET.items():
    os.environ.setdefault(name, value)

BLOCK_SIZE = 32     # vLLM's CPU attention wants multiples of 32


class VllmLLM:
    """Raises what vLLM raises."""

    def __init__(self, model: str, num_blocks: int, max_model_len: int, max_num_batched_tokens: int, max_num_seqs: int):
        import vllm
        self.vllm = vllm
        self.llm = vllm.LLM(model=model, dtype="float32", enforce_eager=True, block_size=BLOCK_SIZE, num_gpu_blocks_override=num_blocks,
                            max_model_len=max_model_len, max_num_batched_tokens=max_num_batched_tokens, max_num_seqs=max_num_seqs)

    def generate(self, prompts: list, params: list[SamplingParams] | SamplingParams) -> list[RequestOutput]:
        """`prompts`: texts, or `{"prompt_token_ids": [...]}`."""
        all_params = [params] * len(prompts) if isinstance(params, SamplingParams) else params
        outputs = self.llm.generate(prompts, [self._params(each) for each in all_params], use_tqdm=False)
        return [self._output(output) for output in outputs]

    def _params(self, params: SamplingParams):
        return self.vllm.SamplingParams(
            n=params.n, max_tokens=params.max_tokens, min_tokens=params.min_tokens, ignore_eos=params.ignore_eos,
            stop_token_ids=list(params.stop_token_ids), temperature=params.temperature, top_k=params.top_k, top_p=params.top_p,
            min_p=params.min_p, seed=params.seed, presence_penalty=params.presence_penalty, frequency_penalty=params.frequency_penalty,
            repetition_penalty=params.repetition_penalty, logit_bias=dict(params.logit_bias) or None,
            allowed_token_ids=list(params.allowed_token_ids) if params.allowed_token_ids else None, logprobs=params.logprobs,
            stop=list(params.stop), include_stop_str_in_output=params.include_stop_str_in_output,
            skip_special_tokens=params.skip_special_tokens)

    def _output(self, output) -> RequestOutput:
        return RequestOutput(output.request_id, output.prompt, list(output.prompt_token_ids), [
            CompletionOutput(done.index, done.text, list(done.token_ids), done.cumulative_logprob,
                             [{token_id: Logprob(value.logprob, value.rank, value.decoded_token) for token_id, value in position.items()}
                              for position in done.logprobs] if done.logprobs is not None else None,
                             done.finish_reason, done.stop_reason) for done in output.outputs], output.finished)


@functools.cache
def vllm_llm(model: str, **limits: int) -> VllmLLM:
    """The engine for a checkpoint and limits: built once per process, and kept."""
    return VllmLLM(model, **limits)
