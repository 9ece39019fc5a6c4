// Sums of emulated devices in shared memory, call by call compared.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tensor/cuda/device_sums.h"
#include "tensor/cuda/stream.h"
#include "tests/cuda_emulator/controls.h"
#include "tests/cuda_emulator/nccl_stand_in.h"
// after what it calls
#include "tensor/nccl/nccl_sums.cuh"

namespace passband::emulator {
namespace {

constexpr size_t kMostRanks = 16, kChunk = size_t{1} << 16, kText = 120;  // bytes
double patience = 20;

}  // namespace

// What a process has in the shared memory: the chunk that it brings, for which step.
struct NcclPlace {
  std::atomic<uint64_t> arrived, left;  // steps
  char call[kText];
  alignas(16) unsigned char chunk[kChunk];
};

struct NcclMeeting {
  std::atomic<int> joined, failed;
  char reason[2 * kText];
  NcclPlace places[kMostRanks];
};

namespace {

std::string call_text(size_t count, ncclDataType_t type, bool recorded) {
  return concat_text(recorded ? "a recorded sum of " : "a sum of ", count,
                     type == ncclFloat32 ? " f32" : " f64");
}

}  // namespace
}  // namespace passband::emulator

struct ncclComm {
  passband::emulator::NcclMeeting* meeting = nullptr;
  int rank = 0, size = 1;
  uint64_t step = 0, calls = 0;
  std::string error;  // what ended it
};

namespace passband::emulator {
namespace {

// The first reason is that of all.
void fail_comm(ncclComm& comm, const std::string& reason) {
  int none = 0;
  if (comm.meeting->failed.compare_exchange_strong(none, 1)) {
    std::snprintf(comm.meeting->reason, sizeof comm.meeting->reason, "%s", reason.c_str());
    comm.meeting->failed = 2;
  }
  while (comm.meeting->failed != 2) sched_yield();
  comm.error = comm.meeting->reason;
}

// Whether all places come to hold; `late` says what the first that does not has left out.
template <class Holds, class Late>
bool wait_for_all(ncclComm& comm, const Holds& holds, const Late& late) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  if (comm.meeting->failed) return fail_comm(comm, ""), false;
  for (int rank = 0; rank < comm.size; ++rank)
    while (!holds(comm.meeting->places[rank])) {
      if (comm.meeting->failed) return fail_comm(comm, ""), false;
      if (std::chrono::duration<double>(Clock::now() - begin).count() > patience)
        return fail_comm(comm, late(rank)), false;
      sched_yield();
    }
  return true;
}

bool same_calls(ncclComm& comm, uint64_t call) {
  const NcclPlace* const places = comm.meeting->places;
  for (int rank = 1; rank < comm.size; ++rank)
    if (std::strcmp(places[rank].call, places[0].call) != 0) {
      fail_comm(comm, concat_text("rank ", rank, " comes to call ", call, " with ",
                                  places[rank].call, ", rank 0 with ", places[0].call));
      return false;
    }
  return true;
}

// In the order of the ranks.
template <class T> void add_chunks(const ncclComm& comm, T* to, size_t count) {
  std::fill_n(to, count, T(0));
  for (int rank = 0; rank < comm.size; ++rank) {
    const auto* const from = reinterpret_cast<const T*>(comm.meeting->places[rank].chunk);
    for (size_t i = 0; i < count; ++i) to[i] += from[i];
  }
}

template <class T>
void all_reduce(ncclComm& comm, T* values, size_t count, const std::string& text) {
  const uint64_t call = ++comm.calls;
  NcclPlace& own = comm.meeting->places[comm.rank];
  constexpr size_t kMost = kChunk / sizeof(T);
  for (size_t first = 0; first < count && comm.error.empty(); first += kMost) {
    const size_t here = std::min(kMost, count - first);
    const uint64_t step = ++comm.step;
    const auto missing = [&](int rank) {
      return concat_text("rank ", rank, " has not come to call ", call, ", ", text, ", for ",
                         patience, " s");
    };
    if (!wait_for_all(
            comm, [&](const NcclPlace& p) { return p.left >= step - 1; }, missing))
      return;
    std::memcpy(own.chunk, values + first, here * sizeof(T));
    std::snprintf(own.call, kText, "%s", text.c_str());
    own.arrived = step;
    if (!wait_for_all(
            comm, [&](const NcclPlace& p) { return p.arrived >= step; }, missing))
      return;
    if (!same_calls(comm, call)) return;
    add_chunks(comm, values + first, here);
    own.left = step;
  }
  mark_written(values, count * sizeof(T));
}

}  // namespace

void set_nccl_patience(double seconds) { patience = seconds; }

}  // namespace passband::emulator

using passband::emulator::NcclMeeting;

ncclResult_t ncclGetVersion(int* version) {
  *version = 0;
  return ncclInternalError;  // none of its own
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::random_device source;
  std::snprintf(id->internal, sizeof id->internal, "/passband-%08x%08x", source(), source());
  return ncclSuccess;
}

// All processes open the memory under its name, which the last one to come takes away.
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int size, ncclUniqueId id, int rank) {
  if (size > static_cast<int>(passband::emulator::kMostRanks)) return ncclInvalidUsage;
  const int file = shm_open(id.internal, O_RDWR | O_CREAT, 0600);
  if (file < 0) return ncclInternalError;
  void* memory = MAP_FAILED;
  if (ftruncate(file, sizeof(NcclMeeting)) == 0)
    memory = mmap(nullptr, sizeof(NcclMeeting), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return ncclInternalError;
  *comm = new ncclComm{static_cast<NcclMeeting*>(memory), rank, size, 0, 0, {}};
  if (++(*comm)->meeting->joined == size) shm_unlink(id.internal);
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
  if (from != to) return ncclInvalidUsage;
  const std::string text =
      passband::emulator::call_text(count, type, passband::cuda::is_recording());
  passband::emulator::enqueue_library_call(stream, [=] {
    if (!comm->error.empty()) return;
    if (type == ncclFloat32)
      passband::emulator::all_reduce(*comm, static_cast<float*>(to), count, text);
    else passband::emulator::all_reduce(*comm, static_cast<double*>(to), count, text);
  });
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  *state = comm->error.empty() ? ncclSuccess : ncclInternalError;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (comm->error.empty()) comm->error = "abandoned";
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess ? "no error" : "emulated NCCL failed";
}
const char* ncclGetLastError(ncclComm_t comm) { return comm ? comm->error.c_str() : ""; }

namespace passband::cuda {

const DeviceSumsModule* device_sums_module(std::string& why) {
  static const DeviceSumsModule functions{make_nccl_id, join_nccl, [] { return "emulated NCCL"; }};
  why.clear();
  return &functions;
}

}  // namespace passband::cuda
