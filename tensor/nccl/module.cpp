// NCCL, by which GPUs add up gradients. It is a module that the programs load when several
// processes train on GPUs, so that they run where there is no NCCL too.
#include <nccl.h>

#include "tensor/nccl/nccl_sums.cuh"

extern "C" {

[[gnu::visibility("default")]] void passband_nccl_id(char* id) { passband::make_nccl_id(id); }

[[gnu::visibility("default")]] passband::DeviceSums* passband_nccl_join(const char* id, int rank,
                                                                        int size) {
  return passband::join_nccl(id, rank, size);
}

[[gnu::visibility("default")]] const char* passband_nccl_library() {
  return passband::nccl_library();
}
}
