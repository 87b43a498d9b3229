"""The concept map: what a thing is called here, and where vLLM has it.

`python -m reference.concepts` prints it as the table of the README.
"""
from typing import NamedTuple


class Concept(NamedTuple):
    name: str
    ours: str       # file::name, from the top of this repository
    vllm: str       # file::name, from vLLM's package folder


CONCEPTS = [
    Concept("request", "impl/request.py::Request", "v1/request.py::Request"),
    Concept("request status", "impl/request.py::RequestStatus", "v1/request.py::RequestStatus"),
    Concept("sampling parameters", "impl/sampling_params.py::SamplingParams", "sampling_params.py::SamplingParams"),
    Concept("stopping", "impl/request.py::Request.check_stop", "v1/core/sched/utils.py::check_stop"),
    Concept("several outputs of one prompt", "impl/parallel_sampling.py::fan_out", "v1/engine/parallel_sampling.py::ParentRequest.get_child_info"),
    Concept("limits", "impl/config.py::SchedulerConfig", "config/scheduler.py::SchedulerConfig"),
    Concept("scheduler", "impl/scheduler.py::Scheduler", "v1/core/sched/scheduler.py::Scheduler"),
    Concept("a step's decision", "impl/scheduler.py::Scheduler.schedule", "v1/core/sched/scheduler.py::Scheduler.schedule"),
    Concept("taking in what was sampled", "impl/scheduler.py::Scheduler.update_from_output", "v1/core/sched/scheduler.py::Scheduler.update_from_output"),
    Concept("scheduler output", "impl/outputs.py::SchedulerOutput", "v1/core/sched/output.py::SchedulerOutput"),
    Concept("drafts", "impl/scheduler.py::Scheduler.update_draft_token_ids", "v1/core/sched/scheduler.py::Scheduler.update_draft_token_ids"),
    Concept("speculative decoding statistics", "impl/speculation.py::SpecDecodingStats", "v1/spec_decode/metrics.py::SpecDecodingStats"),
    Concept("n-gram proposer", "impl/ngram_proposer.py::propose", "v1/spec_decode/ngram_proposer.py::NgramProposer"),
    Concept("waiting queue, FCFS", "impl/request_queue.py::FCFSQueue", "v1/core/sched/request_queue.py::FCFSRequestQueue"),
    Concept("waiting queue, priority", "impl/request_queue.py::PriorityQueue", "v1/core/sched/request_queue.py::PriorityRequestQueue"),
    Concept("preemption", "impl/scheduler.py::Scheduler._preempt", "v1/core/sched/scheduler.py::Scheduler._preempt_request"),
    Concept("abort", "impl/scheduler.py::Scheduler.abort", "v1/core/sched/scheduler.py::Scheduler.finish_requests"),
    Concept("pausing", "impl/scheduler.py::PauseState", "v1/core/sched/interface.py::PauseState"),
    Concept("block manager", "impl/block_manager.py::BlockManager", "v1/core/kv_cache_manager.py::KVCacheManager"),
    Concept("prefix cache hit", "impl/block_manager.py::BlockManager.get_computed_blocks", "v1/core/single_type_kv_cache_manager.py::FullAttentionManager.find_longest_cache_hit"),
    Concept("slots for new tokens", "impl/block_manager.py::BlockManager.allocate_slots", "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"),
    Concept("prefix cache statistics", "impl/block_manager.py::PrefixCacheStats", "v1/metrics/stats.py::PrefixCacheStats"),
    Concept("block pool", "impl/block_pool.py::BlockPool", "v1/core/block_pool.py::BlockPool"),
    Concept("block", "impl/block_pool.py::Block", "v1/core/kv_cache_utils.py::KVCacheBlock"),
    Concept("free queue", "impl/block_pool.py::FreeQueue", "v1/core/kv_cache_utils.py::FreeKVCacheBlockQueue"),
    Concept("block hash", "impl/block_hash.py::extend_hash_chain", "v1/core/kv_cache_utils.py::hash_block_tokens"),
    Concept("pool large enough for one sequence", "impl/config.py::SchedulerConfig.require_pool_for_one_sequence", "v1/core/kv_cache_utils.py::_check_enough_kv_cache_memory"),
    Concept("the whole engine", "impl/llm.py::LLM", "entrypoints/llm.py::LLM"),
    Concept("engine", "impl/engine.py::Engine", "v1/engine/llm_engine.py::LLMEngine"),
    Concept("one step of everything", "impl/engine.py::Engine.step", "v1/engine/core.py::EngineCore.step"),
    Concept("asynchronous engine", "impl/async_llm.py::AsyncLLM", "v1/engine/async_llm.py::AsyncLLM"),
    Concept("checks at the door", "impl/input_processor.py::InputProcessor", "v1/engine/input_processor.py::InputProcessor"),
    Concept("output processor", "impl/output_processor.py::OutputProcessor", "v1/engine/output_processor.py::OutputProcessor"),
    Concept("incremental detokenisation", "impl/detokenizer.py::Detokenizer", "v1/engine/detokenizer.py::FastIncrementalDetokenizer"),
    Concept("what a user gets", "impl/request_output.py::RequestOutput", "outputs.py::RequestOutput"),
    Concept("model runner", "impl/model_runner.py::ModelRunner", "v1/worker/gpu_model_runner.py::GPUModelRunner"),
    Concept("block table", "impl/block_tables.py::BlockTables", "v1/worker/block_table.py::BlockTable"),
    Concept("slot mapping", "impl/attention.py::AttentionBatch.at", "v1/worker/block_table.py::BlockTable.compute_slot_mapping"),
    Concept("attention metadata", "impl/attention.py::AttentionBatch", "v1/attention/backend.py::CommonAttentionMetadata"),
    Concept("paged attention", "impl/attention.py::paged_attention", "v1/attention/backends/cpu_attn.py::CPUAttentionBackendImpl.forward"),
    Concept("RMS norm", "impl/layers.py::RMSNorm", "model_executor/layers/layernorm.py::RMSNorm"),
    Concept("rotary positions", "impl/layers.py::RotaryEmbedding", "model_executor/layers/rotary_embedding/base.py::RotaryEmbedding"),
    Concept("Llama", "impl/models/llama.py::LlamaForCausalLM", "model_executor/models/llama.py::LlamaForCausalLM"),
    Concept("Qwen3", "impl/models/qwen3.py::Qwen3ForCausalLM", "model_executor/models/qwen3.py::Qwen3ForCausalLM"),
    Concept("loading a checkpoint", "impl/checkpoint.py::read_weights", "model_executor/model_loader/default_loader.py::DefaultModelLoader"),
    Concept("sampler", "impl/sampler.py::Sampler", "v1/sample/sampler.py::Sampler"),
    Concept("penalties", "impl/logits_processors.py::penalize", "model_executor/layers/utils.py::apply_penalties"),
    Concept("min-p", "impl/logits_processors.py::keep_min_p", "v1/sample/logits_processor/builtin.py::MinPLogitsProcessor"),
    Concept("top-k and top-p", "impl/logits_processors.py::thin_out", "v1/sample/ops/topk_topp_sampler.py::apply_top_k_top_p_pytorch"),
    Concept("seeded draw", "impl/gumbel.py::draw", "v1/sample/ops/topk_topp_sampler.py::TopKTopPSampler.forward_cpu"),
    Concept("logprobs", "impl/logprobs.py::rank", "v1/sample/sampler.py::Sampler.gather_logprobs"),
    Concept("prompt logprobs", "impl/logprobs.py::PromptLogprobs", "v1/worker/gpu_model_runner.py::GPUModelRunner._get_prompt_logprobs_dict"),
]


def table() -> str:
    """The map in Markdown."""
    rows = ["| concept | ours | vLLM's |", "|---|---|---|"]
    rows += [f"| {concept.name} | `{concept.ours.removeprefix('impl/')}` | `{concept.vllm}` |" for concept in CONCEPTS]
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
