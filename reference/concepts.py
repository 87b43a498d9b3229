"""The concept map: what a thing is called here, and where vLLM has it.

`python -m reference.concepts` prints it as the tables of the README; `python -m spec explain NAME` shows both sources of one.
"""
from collections.abc import Iterable
from typing import NamedTuple


class Concept(NamedTuple):
    name: str
    ours: str                       # file::name, from the top of this repository
    vllm: str                       # file::name, from vLLM's package folder
    about: tuple[str, ...] = ()     # events of spec/bench/events.py in which it is seen at work
    also: tuple[str, ...] = ()      # where vLLM does part of it


SCHEDULING = [
    Concept("request", "impl/request.py::Request", "v1/request.py::Request"),
    Concept("request status", "impl/request.py::RequestStatus", "v1/request.py::RequestStatus"),
    Concept("limits", "impl/config.py::SchedulerConfig", "config/scheduler.py::SchedulerConfig",
            also=("config/model.py::ModelConfig", "config/model.py::_get_and_verify_max_len")),
    Concept("scheduler", "impl/scheduler.py::Scheduler", "v1/core/sched/scheduler.py::Scheduler"),
    Concept("a request comes in", "impl/scheduler.py::Scheduler.add_request", "v1/core/sched/scheduler.py::Scheduler.add_request"),
    Concept("a step's decision", "impl/scheduler.py::Scheduler.schedule", "v1/core/sched/scheduler.py::Scheduler.schedule",
            about=("admission", "waiting", "chunk", "decode", "stall")),
    Concept("taking in what was sampled", "impl/scheduler.py::Scheduler.update_from_output", "v1/core/sched/scheduler.py::Scheduler.update_from_output"),
    Concept("scheduler output", "impl/outputs.py::SchedulerOutput", "v1/core/sched/output.py::SchedulerOutput",
            also=("v1/core/sched/scheduler.py::Scheduler._make_cached_request_data",)),
    Concept("drafts", "impl/scheduler.py::Scheduler.update_draft_token_ids", "v1/core/sched/scheduler.py::Scheduler.update_draft_token_ids",
            about=("draft",)),
    Concept("speculative decoding statistics", "impl/speculation.py::SpecDecodingStats", "v1/spec_decode/metrics.py::SpecDecodingStats"),
    Concept("who drafts, and how much", "impl/speculative_config.py::SpeculativeConfig", "config/speculative.py::SpeculativeConfig"),
    Concept("n-gram proposer", "impl/ngram_proposer.py::NgramProposer", "v1/spec_decode/ngram_proposer.py::NgramProposer", about=("nothing proposed",),
            also=("v1/spec_decode/ngram_proposer.py::_find_longest_matched_ngram_and_propose_tokens",
                  "v1/worker/gpu_model_runner.py::GPUModelRunner._input_fits_in_drafter",
                  "v1/worker/gpu_model_runner.py::GPUModelRunner.propose_draft_token_ids")),
    Concept("waiting queue, FCFS", "impl/request_queue.py::FCFSQueue", "v1/core/sched/request_queue.py::FCFSRequestQueue"),
    Concept("waiting queue, priority", "impl/request_queue.py::PriorityQueue", "v1/core/sched/request_queue.py::PriorityRequestQueue",
            also=("v1/request.py::Request.__lt__",)),
    Concept("preemption", "impl/scheduler.py::Scheduler._preempt", "v1/core/sched/scheduler.py::Scheduler._preempt_request",
            about=("preemption", "several preemptions", "resumption")),
    Concept("stopping", "impl/request.py::Request.check_stop", "v1/core/sched/utils.py::check_stop",
            about=("stop", "length", "stop token", "end of sequence")),
    Concept("a request leaves", "impl/scheduler.py::Scheduler._finish", "v1/core/sched/scheduler.py::Scheduler._free_request", about=("finish",)),
    Concept("abort", "impl/scheduler.py::Scheduler.abort", "v1/core/sched/scheduler.py::Scheduler.finish_requests",
            about=("abort", "abort call"), also=("v1/engine/llm_engine.py::LLMEngine.abort_request",)),
    Concept("asynchronous scheduling", "impl/async_scheduler.py::AsyncScheduler", "v1/core/sched/async_scheduler.py::AsyncScheduler"),
    Concept("waiting for a grammar", "impl/structured_output.py::Grammar", "v1/structured_output/request.py::StructuredOutputRequest",
            about=("grammar wait", "error end"), also=("v1/core/sched/scheduler.py::Scheduler._handle_blocked_waiting_request",)),
    Concept("pausing", "impl/scheduler.py::PauseState", "v1/core/sched/interface.py::PauseState", about=("pause",)),
]

MEMORY = [
    Concept("block manager", "impl/block_manager.py::BlockManager", "v1/core/kv_cache_manager.py::KVCacheManager"),
    Concept("block pool", "impl/block_pool.py::BlockPool", "v1/core/block_pool.py::BlockPool"),
    Concept("block", "impl/block_pool.py::Block", "v1/core/kv_cache_utils.py::KVCacheBlock"),
    Concept("free queue", "impl/block_pool.py::FreeQueue", "v1/core/kv_cache_utils.py::FreeKVCacheBlockQueue"),
    Concept("blocks are given out", "impl/block_pool.py::BlockPool.get_new_blocks", "v1/core/block_pool.py::BlockPool.get_new_blocks"),
    Concept("blocks are given back", "impl/block_pool.py::BlockPool.free", "v1/core/block_pool.py::BlockPool.free_blocks",
            also=("v1/core/kv_cache_manager.py::KVCacheManager.free", "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.free")),
    Concept("slots for new tokens", "impl/block_manager.py::BlockManager.allocate_slots", "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots",
            also=("v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.get_num_blocks_to_allocate",)),
    Concept("prefix cache hit", "impl/block_manager.py::BlockManager.get_computed_blocks", "v1/core/single_type_kv_cache_manager.py::FullAttentionManager.find_longest_cache_hit",
            about=("cache hit", "sharing within a step"),
            also=("v1/core/kv_cache_manager.py::KVCacheManager.get_computed_blocks", "v1/request.py::Request.get_skip_reading_prefix_cache")),
    Concept("looking a block up", "impl/block_pool.py::BlockPool.get_cached_block", "v1/core/block_pool.py::BlockPool.get_cached_block",
            also=("v1/core/block_pool.py::BlockHashToBlockMap",)),
    Concept("a cached block is used again", "impl/block_pool.py::BlockPool.touch", "v1/core/block_pool.py::BlockPool.touch"),
    Concept("eviction", "impl/block_pool.py::BlockPool._evict", "v1/core/block_pool.py::BlockPool._maybe_evict_cached_block", about=("eviction",)),
    Concept("prefix cache reset", "impl/block_pool.py::BlockPool.reset_prefix_cache", "v1/core/block_pool.py::BlockPool.reset_prefix_cache",
            about=("reset",), also=("v1/core/sched/scheduler.py::Scheduler.reset_prefix_cache",)),
    Concept("sliding window", "impl/sliding_window.py::SlidingWindowSpec", "v1/kv_cache_interface.py::SlidingWindowSpec",
            about=("out of window", "hit behind a gap"), also=("v1/core/single_type_kv_cache_manager.py::SlidingWindowManager",)),
    Concept("KV cache group", "impl/kv_cache_group.py::KVCacheGroup", "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager"),
    Concept("several KV cache groups", "impl/hybrid_block_manager.py::HybridBlockManager", "v1/core/kv_cache_coordinator.py::HybridKVCacheCoordinator",
            about=("several groups",), also=("v1/core/kv_cache_coordinator.py::KVCacheCoordinator",)),
    Concept("block hash", "impl/block_hash.py::extend_hash_chain", "v1/core/kv_cache_utils.py::hash_block_tokens",
            also=("v1/core/kv_cache_utils.py::generate_block_hash_extra_keys",)),
    Concept("prefix cache statistics", "impl/block_manager.py::PrefixCacheStats", "v1/metrics/stats.py::PrefixCacheStats",
            also=("v1/core/kv_cache_manager.py::KVCacheManager.record_prefix_cache_stats",)),
    Concept("pool large enough for one sequence", "impl/config.py::SchedulerConfig.require_pool_for_one_sequence", "v1/core/kv_cache_utils.py::_check_enough_kv_cache_memory",
            about=("refusal",)),
]

LOOP = [
    Concept("the whole engine", "impl/llm.py::LLM", "entrypoints/llm.py::LLM"),
    Concept("engine", "impl/engine.py::Engine", "v1/engine/llm_engine.py::LLMEngine"),
    Concept("one step of everything", "impl/engine.py::Engine.step", "v1/engine/core.py::EngineCore.step",
            also=("v1/engine/llm_engine.py::LLMEngine.step",)),
    Concept("a step while the one before is computed", "impl/engine.py::Engine._overlapped_step", "v1/engine/core.py::EngineCore.step_with_batch_queue"),
    Concept("asynchronous engine", "impl/async_llm.py::AsyncLLM", "v1/engine/async_llm.py::AsyncLLM"),
]

INPUTS_AND_OUTPUTS = [
    Concept("sampling parameters", "impl/sampling_params.py::SamplingParams", "sampling_params.py::SamplingParams"),
    Concept("checks of sampling parameters", "impl/sampling_params.py::SamplingParams._check_ranges", "sampling_params.py::SamplingParams._verify_args"),
    Concept("checks at the door", "impl/input_processor.py::InputProcessor", "v1/engine/input_processor.py::InputProcessor",
            also=("renderers/base.py::BaseRenderer.validate_token_ids",)),
    Concept("chat template", "impl/chat.py::render", "renderers/hf.py::HfRenderer.render_messages"),
    Concept("several outputs of one prompt", "impl/parallel_sampling.py::fan_out", "v1/engine/parallel_sampling.py::ParentRequest.get_child_info",
            about=("several sequences",), also=("v1/engine/parallel_sampling.py::ParentRequest",)),
    Concept("output processor", "impl/output_processor.py::OutputProcessor", "v1/engine/output_processor.py::OutputProcessor"),
    Concept("incremental detokenisation", "impl/detokenizer.py::Detokenizer", "v1/engine/detokenizer.py::FastIncrementalDetokenizer",
            about=("held back",), also=("v1/engine/detokenizer.py::BaseIncrementalDetokenizer", "v1/engine/detokenizer.py::IncrementalDetokenizer")),
    Concept("structured output", "impl/grammar_compiler.py::GrammarCompiler", "v1/structured_output/__init__.py::StructuredOutputManager",
            also=("v1/structured_output/backend_xgrammar.py::validate_xgrammar_grammar", "v1/structured_output/backend_xgrammar.py::XgrammarGrammar")),
    Concept("stop strings", "impl/detokenizer.py::Detokenizer._cut_at_stop_string", "v1/engine/detokenizer.py::check_stop_strings",
            about=("stop string",)),
    Concept("what a user gets", "impl/request_output.py::RequestOutput", "outputs.py::RequestOutput"),
]

MODEL = [
    Concept("model runner", "impl/model_runner.py::ModelRunner", "v1/worker/gpu_model_runner.py::GPUModelRunner",
            also=("v1/worker/gpu_input_batch.py::InputBatch",)),
    Concept("model runner on a GPU", "impl/gpu_model_runner.py::GPUModelRunner", "v1/worker/gpu/model_runner.py::GPUModelRunner",
            also=("v1/worker/gpu/async_utils.py::AsyncOutput", "v1/worker/gpu/input_batch.py::InputBatch")),
    Concept("tensor parallelism", "impl/tensor_parallel.py::parallelize", "model_executor/layers/linear.py::RowParallelLinear",
            also=("model_executor/layers/linear.py::ColumnParallelLinear", "distributed/communication_op.py::tensor_model_parallel_all_reduce",
                  "model_executor/layers/vocab_parallel_embedding.py::VocabParallelEmbedding")),
    Concept("ranks and their processes", "impl/multiproc_executor.py::MultiprocExecutor", "v1/executor/multiproc_executor.py::MultiprocExecutor"),
    Concept("a further rank", "impl/follower.py::Follower", "v1/executor/multiproc_executor.py::WorkerProc"),
    Concept("a rank that is lost", "impl/worker_monitor.py::WorkerMonitor", "v1/executor/multiproc_executor.py::MultiprocExecutor.start_worker_monitor"),
    Concept("collectives on GPUs", "impl/nccl.py::NcclCommunicator", "distributed/device_communicators/pynccl.py::PyNcclCommunicator"),
    Concept("CUDA graphs", "impl/cuda_graphs.py::CudaGraphs", "v1/worker/gpu/cudagraph_utils.py::CudaGraphManager"),
    Concept("requests on the device", "impl/gpu_request_states.py::RequestStates", "v1/worker/gpu/states.py::RequestState",
            also=("v1/worker/gpu/block_table.py::BlockTables", "v1/worker/gpu/sample/states.py::SamplingStates")),
    Concept("memory for the KV cache", "impl/gpu_memory.py::kv_cache_memory", "v1/worker/gpu_worker.py::Worker.determine_available_memory"),
    Concept("block table", "impl/block_tables.py::BlockTables", "v1/worker/block_table.py::BlockTable"),
    Concept("slot mapping", "impl/attention.py::AttentionBatch.at", "v1/worker/block_table.py::BlockTable.compute_slot_mapping"),
    Concept("attention metadata", "impl/attention.py::AttentionBatch", "v1/attention/backend.py::CommonAttentionMetadata"),
    Concept("paged attention", "impl/attention.py::paged_attention", "v1/attention/backends/cpu_attn.py::CPUAttentionBackendImpl.forward"),
    Concept("RMS norm", "impl/layers.py::RMSNorm", "model_executor/layers/layernorm.py::RMSNorm"),
    Concept("rotary positions", "impl/layers.py::RotaryEmbedding", "model_executor/layers/rotary_embedding/base.py::RotaryEmbedding"),
    Concept("Llama", "impl/models/llama.py::LlamaForCausalLM", "model_executor/models/llama.py::LlamaForCausalLM"),
    Concept("Qwen3", "impl/models/qwen3.py::Qwen3ForCausalLM", "model_executor/models/qwen3.py::Qwen3ForCausalLM"),
    Concept("loading a checkpoint", "impl/checkpoint.py::read_weights", "model_executor/model_loader/default_loader.py::DefaultModelLoader"),
]

SAMPLING = [
    Concept("sampler", "impl/sampler.py::Sampler", "v1/sample/sampler.py::Sampler"),
    Concept("forbidden and favoured tokens", "impl/logits_processors.py::restrict", "v1/sample/logits_processor/builtin.py::LogitBiasLogitsProcessor.apply",
            also=("v1/sample/logits_processor/builtin.py::MinTokensLogitsProcessor", "v1/sample/ops/bad_words.py::_apply_bad_words_single_batch",
                  "v1/sample/sampler.py::Sampler.apply_logits_processors")),
    Concept("penalties", "impl/logits_processors.py::penalize", "model_executor/layers/utils.py::apply_penalties",
            also=("_custom_ops.py::apply_repetition_penalties_torch",)),
    Concept("min-p", "impl/logits_processors.py::keep_min_p", "v1/sample/logits_processor/builtin.py::MinPLogitsProcessor"),
    Concept("top-k and top-p", "impl/logits_processors.py::thin_out", "v1/sample/ops/topk_topp_sampler.py::apply_top_k_top_p_pytorch",
            also=("v1/sample/ops/topk_topp_sampler.py::apply_top_k_only",)),
    Concept("rejection sampler", "impl/rejection_sampler.py::RejectionSampler", "v1/sample/rejection_sampler.py::RejectionSampler",
            about=("accepted draft", "rejected draft"),
            also=("v1/sample/rejection_sampler.py::rejection_sample", "sampling_params.py::SamplingParams._validate_spec_decode")),
    Concept("seeded draw", "impl/gumbel.py::draw", "v1/sample/ops/topk_topp_sampler.py::TopKTopPSampler.forward_cpu"),
    Concept("logprobs", "impl/logprobs.py::rank", "v1/sample/sampler.py::Sampler.gather_logprobs",
            about=("logprobs",),
            also=("v1/sample/sampler.py::Sampler.compute_logprobs", "v1/engine/logprobs.py::LogprobsProcessor",
                  "v1/sample/ops/logprobs.py::batched_count_greater_than", "logprobs.py::append_logprobs_for_next_position")),
    Concept("prompt logprobs", "impl/logprobs.py::PromptLogprobs", "v1/worker/gpu_model_runner.py::GPUModelRunner._get_prompt_logprobs_dict",
            about=("prompt logprobs",), also=("logprobs.py::create_prompt_logprobs",)),
]

KERNELS = [
    Concept("paged decode attention", "kernels/decode_attention.py::decode_attention", "v1/attention/ops/triton_unified_attention.py::unified_attention"),
    Concept("paged prefill attention", "kernels/prefill_attention.py::prefill_attention", "v1/attention/ops/triton_unified_attention.py::unified_attention"),
    Concept("cache write", "kernels/cache_write.py::write_cache", "v1/attention/ops/triton_reshape_and_cache_flash.py::triton_reshape_and_cache_flash"),
    Concept("RMS norm, fused with the residual", "kernels/rms_norm.py::add_rms_norm", "_custom_ops.py::fused_add_rms_norm"),
    Concept("rotary positions in place", "kernels/rope.py::rope", "_custom_ops.py::rotary_embedding"),
    Concept("from the QKV product to the cache", "kernels/qk_norm_rope_cache.py::qk_norm_rope_cache", "_custom_ops.py::fused_qk_norm_rope"),
    Concept("SiLU and multiply", "kernels/silu_and_mul.py::silu_and_mul", "model_executor/layers/activation.py::SiluAndMul"),
    Concept("greedy sampling", "kernels/greedy.py::greedy", "v1/worker/gpu/sample/gumbel.py::gumbel_sample"),
    Concept("Gumbel sampling", "kernels/gumbel.py::gumbel", "v1/worker/gpu/sample/gumbel.py::gumbel_sample"),
    Concept("penalties in one pass", "kernels/penalties.py::penalties", "v1/worker/gpu/sample/penalties.py::apply_penalties"),
    Concept("one row times a weight", "kernels/gemv.py::gemv", "model_executor/layers/utils.py::default_unquantized_gemm"),
    Concept("the inputs of a decode step", "kernels/decode_inputs.py::decode_inputs", "v1/worker/gpu/block_table.py::BlockTables.gather_block_tables",
            also=("v1/worker/gpu/block_table.py::BlockTables.compute_slot_mappings", "v1/worker/gpu/input_batch.py::combine_sampled_and_draft_tokens")),
    Concept("programmatic dependent launch", "kernels/dependent_launch.py::await_the_kernel_before", "lora/ops/triton_ops/utils.py::supports_pdl"),
    Concept("top-k and top-p without sorting", "kernels/top_k_top_p.py::top_k_top_p", "v1/sample/ops/topk_topp_triton.py::apply_top_k_top_p_triton"),
]

THEMES = {"scheduling": SCHEDULING, "memory": MEMORY, "the loop": LOOP, "inputs and outputs": INPUTS_AND_OUTPUTS, "the model": MODEL,
          "sampling": SAMPLING, "kernels": KERNELS}
CONCEPTS = [concept for theme in THEMES.values() for concept in theme]


def concepts_of(vllm: str, about: Iterable[str] = ()) -> list[Concept]:
    """The concepts of a claim, the closest first: those whose place in vLLM it names, or is inside of; then those which it is about."""
    places = [(len(place), concept) for concept in CONCEPTS for place in (concept.vllm, *concept.also)
              if vllm == place or vllm.startswith(f"{place}.")]
    longest = max((length for length, _ in places), default=0)
    found = [concept for length, concept in places if length == longest]
    events = set(about)
    return [*found, *(concept for concept in CONCEPTS if events & set(concept.about) and concept not in found)]


def map_as_data() -> list[dict]:
    """The map as plain data, by theme, for whoever shows it without this room: the reports."""
    return [{"theme": theme, "concepts": [concept._asdict() for concept in concepts]} for theme, concepts in THEMES.items()]


def table() -> str:
    """The map in Markdown, a table for each theme."""
    return "\n\n".join(f"### {theme.capitalize()}\n\n{_rows(concepts)}" for theme, concepts in THEMES.items())


def _rows(concepts: list[Concept]) -> str:
    rows = ["| concept | ours | vLLM's |", "|---|---|---|"]
    rows += [f"| {concept.name} | `{concept.ours.removeprefix('impl/')}` | `{concept.vllm}` |" for concept in concepts]
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
