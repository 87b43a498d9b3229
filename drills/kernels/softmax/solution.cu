// A block of threads per row. A thread takes every 256th number, then the threads put together what each of them has.
#include <ATen/Dispatch.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/types.h>

constexpr int THREADS = 256;    // a multiple of 32, the threads of a warp

// Combines one value of each thread into one for all of them: within each warp by shuffling, then over the warps by shared memory.
template <typename Combine>
__device__ float over_block(float value, Combine combine) {
  __shared__ float of_warp[THREADS / 32];
  for (int distance = 16; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffff, value, distance));
  }
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  value = of_warp[0];
  for (int warp = 1; warp < THREADS / 32; ++warp) value = combine(value, of_warp[warp]);
  __syncthreads();    // nobody may write of_warp again before all have read it
  return value;
}

// out[row] = softmax(x[row]) for one row of n numbers.
template <typename scalar_t>
__global__ void softmax_kernel(scalar_t* out, const scalar_t* x, int n) {
  out += static_cast<int64_t>(blockIdx.x) * n;
  x += static_cast<int64_t>(blockIdx.x) * n;
  float largest = -INFINITY;
  for (int i = threadIdx.x; i < n; i += THREADS) largest = fmaxf(largest, static_cast<float>(x[i]));
  largest = over_block(largest, [](float a, float b) { return fmaxf(a, b); });
  float total = 0;
  for (int i = threadIdx.x; i < n; i += THREADS) total += expf(static_cast<float>(x[i]) - largest);
  total = over_block(total, [](float a, float b) { return a + b; });
  for (int i = threadIdx.x; i < n; i += THREADS) {
    out[i] = static_cast<scalar_t>(expf(static_cast<float>(x[i]) - largest) / total);
  }
}

// exp(x) over its sum for each row of x [rows, n], float32 or float16, n from 1 to 8192, into out. Computed in float32.
void softmax(torch::Tensor out, torch::Tensor x) {
  const int64_t rows = x.size(0), n = x.size(1);
  if (rows == 0) return;
  AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "softmax", [&] {
    softmax_kernel<scalar_t><<<rows, THREADS, 0, c10::cuda::getCurrentCUDAStream()>>>(
        out.data_ptr<scalar_t>(), x.data_ptr<scalar_t>(), static_cast<int>(n));
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}
