// A block of threads per row. A thread takes every 256th number, then the threads add up what each of them has.
#include <ATen/Dispatch.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/types.h>

constexpr int THREADS = 256;    // a multiple of 32, the threads of a warp

// The sum of one value of each thread, for all of them: within each warp by shuffling, then over the warps by shared memory.
__device__ float sum_over_block(float value) {
  __shared__ float of_warp[THREADS / 32];
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffff, value, distance);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  value = 0;
  for (int warp = 0; warp < THREADS / 32; ++warp) value += of_warp[warp];
  return value;
}

// out[row] = x[row] / sqrt(mean(x[row] ** 2) + eps) * weight for one row of n numbers.
template <typename scalar_t>
__global__ void rms_norm_kernel(scalar_t* out, const scalar_t* x, const scalar_t* weight, int n, float eps) {
  out += static_cast<int64_t>(blockIdx.x) * n;
  x += static_cast<int64_t>(blockIdx.x) * n;
  float squares = 0;
  for (int i = threadIdx.x; i < n; i += THREADS) {
    const float value = static_cast<float>(x[i]);
    squares += value * value;
  }
  const float scale = rsqrtf(sum_over_block(squares) / n + eps);
  for (int i = threadIdx.x; i < n; i += THREADS) {
    out[i] = static_cast<scalar_t>(static_cast<float>(x[i]) * scale * static_cast<float>(weight[i]));
  }
}

// x over the root mean square of its row, times weight, into out: x [tokens, n], weight [n], float32 or float16, n from 1 to 8192.
void rms_norm(torch::Tensor out, torch::Tensor x, torch::Tensor weight, double eps) {
  const int64_t tokens = x.size(0), n = x.size(1);
  if (tokens == 0) return;
  AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "rms_norm", [&] {
    rms_norm_kernel<scalar_t><<<tokens, THREADS, 0, c10::cuda::getCurrentCUDAStream()>>>(
        out.data_ptr<scalar_t>(), x.data_ptr<scalar_t>(), weight.data_ptr<scalar_t>(), static_cast<int>(n), static_cast<float>(eps));
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}
