// DeviceSums by NCCL. Whoever includes this has included nccl.h before, or what stands in for it.
#pragma once
#include <cstring>
#include <stdexcept>
#include <string>

#include "tensor/core/device_sums.h"

namespace passband {

inline std::string nccl_error(ncclResult_t result, const char* what, ncclComm_t comm) {
  std::string text = std::string(what) + ": " + ncclGetErrorString(result);
  const char* const more = ncclGetLastError(comm);
  if (more && *more) text += std::string(" (") + more + ")";
  return text;
}

inline void check_nccl(ncclResult_t result, const char* what, ncclComm_t comm = nullptr) {
  if (result != ncclSuccess) throw std::runtime_error(nccl_error(result, what, comm));
}

// Sums of one communicator come in one order in all processes, and so must their calls.
class NcclSums final : public DeviceSums {
 public:
  NcclSums(const char* id, int rank, int size) {
    ncclUniqueId unique{};
    static_assert(sizeof unique.internal == kDeviceSumsIdBytes);
    std::memcpy(unique.internal, id, sizeof unique.internal);
    check_nccl(ncclCommInitRank(&comm_, size, unique, rank), "ncclCommInitRank");
  }

  void sum(float* values, int64_t count, void* stream) override {
    add_up(values, count, ncclFloat32, stream);
  }
  void sum(double* values, int64_t count, void* stream) override {
    add_up(values, count, ncclFloat64, stream);
  }
  std::string trouble() override {
    if (!comm_) return "NCCL's sums were abandoned";
    ncclResult_t state = ncclSuccess;
    check_nccl(ncclCommGetAsyncError(comm_, &state), "ncclCommGetAsyncError", comm_);
    return state == ncclSuccess || state == ncclInProgress ? "" : nccl_error(state, "NCCL", comm_);
  }
  void abandon() override {
    if (comm_) ncclCommAbort(comm_);
    comm_ = nullptr;
  }

 private:
  void add_up(void* values, int64_t count, ncclDataType_t type, void* stream) {
    if (!comm_) throw std::runtime_error("NCCL's sums were abandoned");
    check_nccl(ncclAllReduce(values, values, static_cast<size_t>(count), type, ncclSum, comm_,
                             static_cast<cudaStream_t>(stream)),
               "ncclAllReduce", comm_);
  }

  ncclComm_t comm_ = nullptr;
};

inline void make_nccl_id(char* id) {
  ncclUniqueId unique{};
  check_nccl(ncclGetUniqueId(&unique), "ncclGetUniqueId");
  std::memcpy(id, unique.internal, sizeof unique.internal);
}

inline DeviceSums* join_nccl(const char* id, int rank, int size) {
  return new NcclSums(id, rank, size);
}

// "NCCL 2.28.9"
inline const char* nccl_library() {
  static const std::string text = [] {
    int version = 0;  // 2 28 09, and of old ones 2 3 05
    if (ncclGetVersion(&version) != ncclSuccess) return std::string("NCCL");
    const int major = version >= 10000 ? version / 10000 : version / 1000,
              minor = version >= 10000 ? version / 100 % 100 : version / 100 % 10;
    return "NCCL " + std::to_string(major) + "." + std::to_string(minor) + "." +
           std::to_string(version % 100);
  }();
  return text.c_str();
}

}  // namespace passband
