// As much of NCCL as tensor/nccl/nccl_sums.cuh calls, for emulated devices of several processes of
// one machine, which meet in shared memory. Where a process leaves out a call, or makes another one
// than the rest, NCCL waits for ever or adds up nonsense; here every process learns who did it.
#pragma once
#include <cstddef>

#include "tensor/cuda/runtime.h"

enum ncclResult_t {
  ncclSuccess = 0,
  ncclInternalError = 3,
  ncclInvalidUsage = 5,
  ncclInProgress = 7
};
enum ncclDataType_t { ncclFloat32 = 7, ncclFloat64 = 8 };
enum ncclRedOp_t { ncclSum = 0 };
struct ncclUniqueId {
  char internal[128];
};
struct ncclComm;
using ncclComm_t = ncclComm*;
using cudaStream_t = passband::cuda::StreamHandle;

ncclResult_t ncclGetVersion(int* version);
ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int size, ncclUniqueId id, int rank);
ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state);
ncclResult_t ncclCommAbort(ncclComm_t comm);
const char* ncclGetErrorString(ncclResult_t result);
const char* ncclGetLastError(ncclComm_t comm);

namespace passband::emulator {
// How long a process waits for the others' calls, in seconds.
void set_nccl_patience(double seconds);
}  // namespace passband::emulator
