// What adds up the memory of GPUs over the processes: NCCL, in a module of its own (tensor/nccl/),
// or what stands in for it where GPUs are emulated.
#pragma once
#include <cstdint>
#include <string>

namespace passband {

// Every process has one device. All begin the same sums in the same order. Errors are thrown as
// std::runtime_error.
class DeviceSums {
 public:
  virtual ~DeviceSums() = default;

  // In place, when the stream gets there: values[i] becomes the sum over the processes. May be
  // recorded.
  virtual void sum(float* values, int64_t count, void* stream) = 0;
  virtual void sum(double* values, int64_t count, void* stream) = 0;
  // What has gone wrong with a sum since it was begun, in words; empty: nothing that is known.
  virtual std::string trouble() = 0;
  // Ends the sums that are under way, so that streams which wait for them go on. None may be begun
  // afterwards.
  virtual void abandon() = 0;
};

// Names the processes that belong together: made by one of them, brought to the others.
inline constexpr int kDeviceSumsIdBytes = 128;

// What a module of this interface has, under these names.
struct DeviceSumsModule {
  void (*make_id)(char* id);
  DeviceSums* (*join)(const char* id, int rank, int size);  // on the device in use
  const char* (*library)();                                 // "NCCL 2.28.9"
};
// NCCL's, from beside the program, loaded on first use; null where this build has none, or it does
// not load, for the reason that is then in `why`.
const DeviceSumsModule* nccl_module(std::string& why);

inline constexpr const char* kMakeIdFunction = "passband_nccl_id";
inline constexpr const char* kJoinDevicesFunction = "passband_nccl_join";
inline constexpr const char* kNcclLibraryFunction = "passband_nccl_library";

}  // namespace passband
