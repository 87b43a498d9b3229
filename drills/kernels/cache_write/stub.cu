// Cache write in CUDA C++: your answer. The problem is in kernels/cache_write/README.md.
#include <ATen/Dispatch.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/types.h>

// Copy the `size` numbers of a token's key and value into its slot. `block_stride`: from a block of the caches to the next.
template <typename scalar_t>
__global__ void cache_write_kernel(const scalar_t* key, const scalar_t* value, scalar_t* key_cache, scalar_t* value_cache,
                                   const int64_t* slot_mapping, int size, int block_size, int64_t block_stride) {
}

// Copy each token's key and value [tokens, KV heads, D] into its slot of the caches [blocks, block size, KV heads, D], in place.
void cache_write(torch::Tensor key, torch::Tensor value, torch::Tensor key_cache, torch::Tensor value_cache, torch::Tensor slot_mapping) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "cache_write: cache_write is not written yet");
  // AT_DISPATCH_FLOATING_TYPES_AND_HALF(key.scalar_type(), "cache_write", [&] {
  //   cache_write_kernel<scalar_t><<<blocks, threads, 0, c10::cuda::getCurrentCUDAStream()>>>(...);
  // });
  // C10_CUDA_KERNEL_LAUNCH_CHECK();
}
