// Softmax in CUDA C++: your answer. The problem is in kernels/softmax/README.md.
#include <ATen/Dispatch.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/types.h>

// out[row] = softmax(x[row]) for one row of n numbers.
template <typename scalar_t>
__global__ void softmax_kernel(scalar_t* out, const scalar_t* x, int n) {
}

// exp(x) over its sum for each row of x [rows, n], float32 or float16, n from 1 to 8192, into out. Computed in float32.
void softmax(torch::Tensor out, torch::Tensor x) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "softmax: softmax is not written yet");
  // AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "softmax", [&] {
  //   softmax_kernel<scalar_t><<<blocks, threads, 0, c10::cuda::getCurrentCUDAStream()>>>(
  //       out.data_ptr<scalar_t>(), x.data_ptr<scalar_t>(), ...);
  // });
  // C10_CUDA_KERNEL_LAUNCH_CHECK();
}
