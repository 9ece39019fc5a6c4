// The emulated multiprocessor: one block at a time, its threads, warps and shared memory. Private
// to the emulator.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/cuda_emulator/controls.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/fiber.h"

namespace passband::emulator {

inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kMaxThreads = 1024;
inline constexpr size_t kPage = 4096;
// of memory never written: NaN as a float or bf16, -1 as an integer
inline constexpr unsigned char kPoison = 0xFF;
// below each stack: large frames must not jump over it
inline constexpr size_t kStackGuard = size_t{1} << 20;

enum class ThreadState : uint8_t { fresh, running, ready, at_barrier, in_collective, done };

struct Thread {
  uint3 index;
  unsigned linear = 0, lane = 0, warp = 0;
  ThreadState state = ThreadState::fresh;
  Fiber* fiber = nullptr;
  Location at;               // where it waits
  const char* waiting = "";  // in what
  int value = 0;             // predicate given to a barrier, then its result
};

// Lanes that have arrived at a warp operation. Each hands in a pointer to its argument.
struct Rendezvous {
  uint32_t mask = 0, arrived = 0;
  const char* operation = nullptr;
  Location at;
  void* arguments[kWarp];
};

struct Warp {
  uint32_t live = 0, ready = 0;  // lanes
  uint32_t phase = 0;            // grows with each __syncwarp
  uint64_t priority = 0;         // Order::greedy
  Rendezvous rendezvous[kWarp];  // one for each mask that lanes wait with
  unsigned meetings = 0;         // of these, how many may be in use
};

struct Machine {
  // The launch.
  const KernelCall* call = nullptr;
  Location site;
  bool running = false;  // from the first thread of a kernel to its last
  bool inside = true;    // the emulator's own code runs, not the kernel's
  Location inside_at;    // the kernel's line that called it
  std::string fault;     // what ended the kernel
  Order order = Order::forward;
  bool strict_exit = false;
  uint64_t random_state = 1;
  size_t dynamic_bytes = 0;

  // The block.
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  uint32_t warps_ready = 0;
  unsigned alive = 0, waiting = 0;  // threads: not done, at the barrier
  uint32_t phase = 0;               // grows with each __syncthreads
  uint64_t block_number = 0;        // counts through all launches

  Thread* current = nullptr;
  Fiber host;
  std::deque<Fiber> fibers;
  std::vector<Fiber*> idle_fibers;
  char* stacks = nullptr;

  Statistics statistics;
};
extern Machine machine;

// Marks the time the emulator's own code runs on behalf of a kernel, when the checker must not
// listen.
class Inside {
 public:
  explicit Inside(const Location& at = {}) {
    machine.inside = true;
    machine.inside_at = at;
  }
  ~Inside() { machine.inside = false; }
};

uint64_t random_bits();

// Faults (faults.cpp). `fail` ends the kernel from one of its threads, or throws Fault when none
// runs; `note_fault` records it and leaves the ending to the scheduler. The thread's stack is
// abandoned, without destructors: hand over what owns memory.
[[noreturn]] void fail(std::string what);
[[noreturn]] void fail_at(std::string what, std::string place);
void note_fault(const std::string& what);
std::string text_of(const Location& at);    // "softmax_cuda.cu:40"
std::string text_of(uint3 v);               // "(1,0,0)"
std::string text_of(const Thread& thread);  // "block (0,0,0) thread (5,0,0)"
std::string source_line(const void* code);  // of an instruction: "softmax_cuda.cu:40"
std::string function_name(const void* code);
void install_fault_handler();

// Whether an address lies in a thread's stack or in the guard below it.
inline bool in_stacks(const void* address) {
  const auto* p = static_cast<const char*>(address);
  return machine.stacks && p >= machine.stacks &&
         p < machine.stacks + kMaxThreads * (options().stack_bytes + kStackGuard);
}

// Scheduling (scheduler.cpp). A launch is checked when it is made, and run when its stream gets
// there.
void check_launch(const KernelCall& call, dim3 grid, dim3 block, size_t shared_bytes,
                  const Location& site);
void run_grid(const KernelCall& call, dim3 grid, dim3 block, size_t shared_bytes,
              const Location& site);
// Waits for the lanes of `mask`; the last to arrive runs `combine` over the arguments of all.
using Combine = void (*)(void** arguments, uint32_t mask);
void rendezvous(uint32_t mask, Combine combine, void* argument, const char* operation,
                const Location& at);

// Shared memory (shared_memory.cpp).
inline constexpr size_t kSharedSpan = size_t{1} << 19;
char* shared_begin();
bool is_shared(const void* address);
void check_shared_variables();  // at the end of a block: nothing was written between them

// Device memory (arena.cpp).
inline constexpr size_t kDeviceSpan = size_t{1} << 34;
char* device_begin();
bool is_device(const void* address);
void* allocate(size_t bytes, const Location& site);
void release(void* memory);
void check_device_range(const void* memory, size_t bytes, const char* operation);
void check_device_margins();  // after a kernel: nothing was written beside an allocation
// What a fault at this address of device memory calls for: true when it may be touched now.
bool open_allocation(const void* address);
std::string describe_device_address(const void* address);

// cp.async (async_copy.cpp).
void reset_async_copies();
bool async_copy_pending(const void* shared, size_t bytes);

// wgmma (warpgroup.cpp).
void reset_warpgroups();
void note_arrived_copies();  // by the running thread, for which such products must be told of them

// What the checked build adds (checker.cpp), or the counted one (counter.cpp); absent in the
// others. `arrival`: an asynchronous copy, whose write was told of before, has been waited for.
enum class Access : uint8_t { read, write, atomic, arrival };
class Checker {
 public:
  virtual ~Checker() = default;
  virtual void begin_launch() = 0;
  virtual void begin_block() = 0;
  virtual void shared_variable(const void* memory, size_t bytes) = 0;
  virtual void device_allocated(const void* memory, size_t bytes) = 0;
  virtual void device_released(const void* memory, size_t bytes) = 0;
  virtual void host_wrote(const void* memory, size_t bytes) = 0;
  virtual void access(const void* memory, size_t bytes, Access kind, const Location& at) = 0;
  virtual void fence() = 0;
  virtual void pack(const void*, size_t) {}  // the next access is one of so many bytes
};
extern Checker* checker;

}  // namespace passband::emulator
