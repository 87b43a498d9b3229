// A block of threads per token: neighbours copy neighbouring numbers, so that a warp's loads and stores are one stretch of memory.
#include <ATen/Dispatch.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/types.h>

constexpr int THREADS = 256;

// Copy the `size` numbers of a token's key and value into its slot. `block_stride`: from a block of the caches to the next.
template <typename scalar_t>
__global__ void cache_write_kernel(const scalar_t* key, const scalar_t* value, scalar_t* key_cache, scalar_t* value_cache,
                                   const int64_t* slot_mapping, int size, int block_size, int64_t block_stride) {
  const int64_t slot = slot_mapping[blockIdx.x];
  if (slot < 0) return;
  const int64_t source = static_cast<int64_t>(blockIdx.x) * size;
  const int64_t target = slot / block_size * block_stride + slot % block_size * size;
  for (int i = threadIdx.x; i < size; i += THREADS) {
    key_cache[target + i] = key[source + i];
    value_cache[target + i] = value[source + i];
  }
}

// Copy each token's key and value [tokens, KV heads, D] into its slot of the caches [blocks, block size, KV heads, D], in place.
void cache_write(torch::Tensor key, torch::Tensor value, torch::Tensor key_cache, torch::Tensor value_cache, torch::Tensor slot_mapping) {
  const int64_t tokens = key.size(0), size = key.size(1) * key.size(2);
  if (tokens == 0) return;
  AT_DISPATCH_FLOATING_TYPES_AND_HALF(key.scalar_type(), "cache_write", [&] {
    cache_write_kernel<scalar_t><<<tokens, THREADS, 0, c10::cuda::getCurrentCUDAStream()>>>(
        key.data_ptr<scalar_t>(), value.data_ptr<scalar_t>(), key_cache.data_ptr<scalar_t>(), value_cache.data_ptr<scalar_t>(),
        slot_mapping.data_ptr<int64_t>(), static_cast<int>(size), static_cast<int>(key_cache.size(1)), key_cache.stride(0));
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}
