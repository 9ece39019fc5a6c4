// Which of several blocks is the last: the one that may use what all of them have written, in the
// same launch.
#pragma once
#include "tensor/cuda/launch.cuh"

namespace passband::cuda {

// True in all threads of the last of `blocks` blocks that come here with this counter; what each of
// them wrote before is then visible to it. The counter is found at zero and left so. All threads of
// the block call.
__device__ __forceinline__ bool is_last_block(unsigned* arrivals, int blocks) {
  SHARED(bool, last, [1]);
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0) {
    const auto most = static_cast<unsigned>(blocks - 1);
    __threadfence();  // what the block has written is visible before the count says so
    last[0] = atomicInc(arrivals, most) == most;
    __threadfence();  // and what the others have written is, after theirs
  }
  __syncthreads();
  return last[0];
}

}  // namespace passband::cuda
