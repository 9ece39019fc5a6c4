// The settings and questions that the CUDA emulator has for tests and programs. Kernels never see
// this header.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>
#include <vector>

#include "tensor/core/error.h"

namespace passband::emulator {

// A mistake in a kernel or in its use. The message names kernel, launch site, rule, line, block and
// thread.
class Fault : public Error {
 public:
  using Error::Error;
};

// Which runnable thread goes next. A kernel that promises determinism gives the same bits under all
// of them.
enum class Order : uint8_t {
  forward,  // lowest thread first; a fault shows up in the smallest thread
  reverse,  // highest thread and highest block first
  random,   // any thread, blocks in random order
  greedy,   // warps have random priorities, redrawn at each barrier; the first runs as far as it
           // can. Finds races that a uniformly random order all but never shows (Burckhardt et al.,
           // "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010)
};

struct Options {
  Order order = Order::forward;
  uint64_t seed = 1;
  size_t stack_bytes = 64 * 1024;  // of each thread; takes effect before the first launch
  // Static and dynamic shared memory of a block: 227 KiB as on an H100; an A100 has 163, a
  // GeForce 99.
  size_t shared_limit = 227 * 1024;
  size_t device_bytes = size_t{4} << 30;  // capacity of device memory
  bool count_only = false;          // launches are checked and counted, no thread of them runs
  bool strict_exit = false;         // a thread that has returned counts as missing at a barrier
  bool guard_device_memory = true;  // host code that touches device memory faults
  // work waits until somebody synchronises, order across streams by seed
  bool deferred_streams = false;
};

// The options in force. PASSBAND_EMULATOR="order=greedy,seed=3,shared=99" sets them from the
// environment.
Options& options();
std::string describe(const Options& options);  // in that same form

// Calls `body` under forward, reverse and `seeds` random and greedy schedules each, and restores
// the options.
void for_each_schedule(int seeds, const std::function<void()>& body);

struct Statistics {
  uint64_t launches = 0, blocks = 0, switches = 0;
  uint64_t barriers = 0;                  // that a block has passed
  uint64_t warp_operations = 0;           // of a warp: shuffles, votes, tensor-core products
  uint64_t copies = 0;                    // and fills
  uint64_t products = 0;                  // multiplied and added by the tensor cores
  size_t live_bytes = 0, peak_bytes = 0;  // of device memory
};
Statistics statistics();

// Device allocations not freed yet: "512 bytes allocated at storage.cpp:40".
std::vector<std::string> live_allocations();
// Finishes all streams, then throws Fault if any device allocation is left.
void check_no_leaks();

// Lets host code read and write device memory while it lives: for the reference code of library
// calls.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

// Puts host code on a stream, with access to device memory: how an emulated cuBLAS call runs in its
// turn.
void enqueue_library_call(void* stream, std::function<void()> call);
// Tells the checker that host code has written `bytes` at `device`.
void mark_written(void* device, size_t bytes);

}  // namespace passband::emulator
