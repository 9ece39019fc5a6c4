// Runs grids: blocks one after another, the threads of a block as fibers that change places at
// barriers and warp operations only, in the order that the options ask for.
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

Machine machine;
Checker* checker = nullptr;

uint64_t random_bits() {  // xorshift64 (Marsaglia 2003)
  uint64_t& x = machine.random_state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return x;
}

namespace {

unsigned random_bit_of(uint32_t bits) {
  for (auto skip =
           static_cast<unsigned>(random_bits() >> 32) % static_cast<unsigned>(std::popcount(bits));
       skip > 0; --skip)
    bits &= bits - 1;
  return static_cast<unsigned>(std::countr_zero(bits));
}

unsigned first_warp_by_priority(uint32_t warps) {
  auto best = static_cast<unsigned>(std::countr_zero(warps));
  for (uint32_t rest = warps & (warps - 1); rest; rest &= rest - 1) {
    const auto warp = static_cast<unsigned>(std::countr_zero(rest));
    if (machine.warps[warp].priority > machine.warps[best].priority) best = warp;
  }
  return best;
}

unsigned choose_bit(uint32_t bits) {
  switch (machine.order) {
    case Order::forward: return static_cast<unsigned>(std::countr_zero(bits));
    case Order::reverse: return 31u - static_cast<unsigned>(std::countl_zero(bits));
    default: return random_bit_of(bits);
  }
}

Thread* take_next_thread() {
  if (!machine.warps_ready || !machine.fault.empty()) return nullptr;
  const uint32_t warps = machine.warps_ready;
  const unsigned w =
      machine.order == Order::greedy ? first_warp_by_priority(warps) : choose_bit(warps);
  Warp& warp = machine.warps[w];
  const unsigned lane = choose_bit(warp.ready);
  warp.ready &= ~(1u << lane);
  if (!warp.ready) machine.warps_ready &= ~(1u << w);
  return &machine.threads[w * kWarp + lane];
}

void make_ready(Thread& thread) {
  thread.state = ThreadState::ready;
  machine.warps[thread.warp].ready |= 1u << thread.lane;
  machine.warps_ready |= 1u << thread.warp;
}

void thread_main();

// Stacks lie in one reservation, each above a guard that must not be touched: overflow faults.
void add_fiber() {
  const size_t bytes = options().stack_bytes, step = bytes + kStackGuard;
  if (!machine.stacks) {
    void* memory = mmap(nullptr, kMaxThreads * step, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw OutOfMemory("cuda emulator: cannot reserve the stacks of 1024 threads");
    machine.stacks = static_cast<char*>(memory);
  }
  Fiber& fiber = machine.fibers.emplace_back();
  fiber.stack = machine.stacks + machine.fibers.size() * step - bytes;
  fiber.stack_bytes = bytes;
  mprotect(fiber.stack, bytes, PROT_READ | PROT_WRITE);
  machine.idle_fibers.push_back(&fiber);
}

Fiber* take_fiber() {
  if (machine.idle_fibers.empty()) add_fiber();
  Fiber* fiber = machine.idle_fibers.back();
  machine.idle_fibers.pop_back();
  unpoison_memory(fiber->stack, fiber->stack_bytes);
  fiber->sanitizer_stack = nullptr;
  prepare_fiber(*fiber, thread_main);
  return fiber;
}

// `next` takes the processor, or the host when there is none.
Fiber& enter(Thread* next) {
  machine.current = next;
  if (!next) return machine.host;
  threadIdx = next->index;
  if (next->state == ThreadState::fresh) next->fiber = take_fiber();
  next->state = ThreadState::running;
  return *next->fiber;
}

// Leaves `from`, and returns when it is its turn again.
[[gnu::always_inline]] inline void yield(Fiber& from) {
  Fiber& to = enter(take_next_thread());
  if (&to == &from) return;
  ++machine.statistics.switches;
  switch_fiber(from, to);
}

int combined_predicate(Barrier kind) {
  if (kind == Barrier::plain) return 0;
  int count = 0, all = 1, any = 0;
  for (const Thread& thread : machine.threads) {
    if (thread.state != ThreadState::at_barrier) continue;
    count += thread.value != 0;
    all &= thread.value != 0;
    any |= thread.value != 0;
  }
  return kind == Barrier::count ? count : kind == Barrier::all ? all : any;
}

bool same_place(const Location& a, const Location& b) {
  return a.line() == b.line() &&
         (a.file_name() == b.file_name() || !strcmp(a.file_name(), b.file_name()));
}

// Every thread that has not returned is at the barrier. Compares source lines, not addresses: a
// compiler may have copied one barrier to several addresses.
void release_barrier(Barrier kind) {
  const Thread* first = nullptr;
  for (const Thread& thread : machine.threads) {
    if (thread.state != ThreadState::at_barrier) continue;
    if (!first) first = &thread;
    if (same_place(first->at, thread.at)) continue;
    return note_fault("divergent barrier: " + text_of(*first) + " waits at " + text_of(first->at) +
                      ", " + text_of(thread) + " at " + text_of(thread.at));
  }
  const int value = combined_predicate(kind);
  for (Thread& thread : machine.threads) {
    if (thread.state != ThreadState::at_barrier) continue;
    thread.value = value;
    make_ready(thread);
  }
  for (Warp& warp : machine.warps) warp.priority = random_bits();
  machine.waiting = 0;
  ++machine.phase;
  ++machine.statistics.barriers;
}

Barrier barrier_kind = Barrier::plain;

void retire(Thread& thread) {
  thread.state = ThreadState::done;
  thread.waiting = "returned";
  --machine.alive;
  Warp& warp = machine.warps[thread.warp];
  warp.live &= ~(1u << thread.lane);
  for (unsigned i = 0; i < warp.meetings; ++i) {
    const Rendezvous& meeting = warp.rendezvous[i];
    if (meeting.arrived && (meeting.mask >> thread.lane & 1u))
      note_fault(text_of(thread) + " has returned, but the mask of " + meeting.operation + " at " +
                 text_of(meeting.at) + " names it");
  }
  if (machine.alive && machine.waiting == machine.alive && !machine.strict_exit)
    release_barrier(barrier_kind);
}

// The first function of every fiber. One fiber runs thread after thread as long as none of them has
// to wait.
void thread_main() {
  fiber_started(machine.host);
  for (;;) {
    Fiber* fiber = machine.current->fiber;
    machine.inside = false;
    machine.call->run();
    machine.inside = true;
    retire(*machine.current);
    Thread* next = take_next_thread();
    if (next && next->state == ThreadState::fresh) {
      next->fiber = fiber;
      next->state = ThreadState::running;
      machine.current = next;
      threadIdx = next->index;
      continue;
    }
    machine.idle_fibers.push_back(fiber);
    ++machine.statistics.switches;
    switch_fiber(*fiber, enter(next));
  }
}

void report_deadlock() {
  std::map<std::string, unsigned> groups;
  for (const Thread& thread : machine.threads) {
    const bool done = thread.state == ThreadState::done;
    ++groups[done ? "returned"
                  : concat_text("wait in ", thread.waiting, " at ", text_of(thread.at))];
  }
  std::string text = "deadlock in block " + text_of(blockIdx) + ":";
  for (const auto& [where, count] : groups)
    text += concat_text(text.back() == ':' ? " " : ", ", count, " threads ", where);
  note_fault(text);
}

void set_up_block() {
  const unsigned count = blockDim.x * blockDim.y * blockDim.z, warps = (count + kWarp - 1) / kWarp;
  machine.threads.assign(count, Thread{});
  machine.warps.resize(warps);
  for (unsigned i = 0; i < count; ++i) {
    Thread& thread = machine.threads[i];
    thread.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
    thread.linear = i;
    thread.lane = i % kWarp;
    thread.warp = i / kWarp;
  }
  for (unsigned w = 0; w < warps; ++w) {
    Warp& warp = machine.warps[w];
    const unsigned lanes = std::min(kWarp, count - w * kWarp);
    warp.live = warp.ready = lanes == kWarp ? ~0u : (1u << lanes) - 1;
    warp.phase = 0;
    warp.priority = random_bits();
    warp.meetings = 0;
  }
  machine.warps_ready = warps == kWarp ? ~0u : (1u << warps) - 1;
  machine.alive = count;
  machine.waiting = 0;
  machine.phase = 0;
  ++machine.block_number;
  ++machine.statistics.blocks;
}

void run_block() {
  set_up_block();
  reset_async_copies();
  reset_warpgroups();
  if (checker) checker->begin_block();
  yield(machine.host);
  machine.current = nullptr;
  if (machine.fault.empty() && machine.alive) report_deadlock();
  if (machine.fault.empty()) check_shared_variables();
  if (machine.fault.empty()) return;
  // The fibers that were left standing are abandoned; their stacks can be used again.
  machine.idle_fibers.clear();
  for (Fiber& fiber : machine.fibers) machine.idle_fibers.push_back(&fiber);
}

std::string reason_against(dim3 grid, dim3 block, size_t shared_bytes) {
  const size_t threads = size_t{block.x} * block.y * block.z;
  const auto text = [](dim3 v) { return text_of(uint3{v.x, v.y, v.z}); };
  if (threads == 0 || threads > kMaxThreads || block.z > 64)
    return "a block of " + text(block) + " threads: 1 to 1024 are possible, at most 64 along z";
  if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    return "a grid of " + text(grid) + " blocks: 1 to (2147483647,65535,65535) are possible";
  if (shared_bytes > options().shared_limit)
    return concat_text(shared_bytes, " bytes of shared memory: at most ", options().shared_limit,
                       " are possible");
  return "";
}

// The order of blocks: one index after another, so that a grid of billions needs no list. A random
// order walks through the grid by a stride that has no factor in common with the number of blocks.
class BlockOrder {
 public:
  explicit BlockOrder(uint64_t count) : count_(count) {
    if (machine.order == Order::reverse) next_ = count - 1, stride_ = count - 1;
    if (machine.order != Order::random) return;
    next_ = random_bits() % count;
    do stride_ = random_bits() % count;
    while (std::gcd(stride_, count) != 1);
  }
  uint64_t next() {
    const uint64_t block = next_;
    next_ = static_cast<uint64_t>((static_cast<unsigned __int128>(next_) + stride_) % count_);
    return block;
  }

 private:
  uint64_t count_, next_ = 0, stride_ = 1;
};

}  // namespace

void check_launch(const KernelCall& call, dim3 grid, dim3 block, size_t shared_bytes,
                  const Location& site) {
  machine.call = &call;
  machine.site = site;
  const std::string reason = reason_against(grid, block, shared_bytes);
  if (!reason.empty()) fail("invalid launch: " + reason);
}

void run_grid(const KernelCall& call, dim3 grid, dim3 block, size_t shared_bytes,
              const Location& site) {
  machine.call = &call;
  machine.site = site;
  machine.fault.clear();
  install_fault_handler();
  gridDim = grid;
  blockDim = block;
  machine.dynamic_bytes = shared_bytes;
  machine.order = options().order;
  machine.strict_exit = options().strict_exit;
  machine.random_state = options().seed * 0x9E3779B97F4A7C15ull | 1;
  machine.host.stack = nullptr;
  ++machine.statistics.launches;
  if (options().count_only) return;

  const DeviceAccess access;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  BlockOrder order(blocks);
  machine.running = true;
  if (checker) checker->begin_launch();
  for (uint64_t i = 0; i < blocks && machine.fault.empty(); ++i) {
    const uint64_t b = order.next();
    blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                static_cast<unsigned>(b / (uint64_t{grid.x} * grid.y))};
    run_block();
  }
  machine.running = false;
  if (machine.fault.empty()) check_device_margins();
  if (!machine.fault.empty()) throw Fault(with_scope(machine.fault));
}

int barrier(Barrier kind, int predicate, Location at) {
  const Inside inside(at);
  Thread& thread = *machine.current;
  thread.state = ThreadState::at_barrier;
  thread.at = at;
  thread.waiting = "__syncthreads";
  thread.value = predicate;
  barrier_kind = kind;
  ++machine.waiting;
  const size_t expected = machine.strict_exit ? machine.threads.size() : machine.alive;
  if (machine.waiting == expected) release_barrier(kind);
  yield(*thread.fiber);
  return thread.value;
}

// Where lanes with this mask meet. Lanes that wait with another mask do not disturb them: part of a
// warp may already have gone on to an operation of the whole.
static Rendezvous& meeting_of(Warp& warp, uint32_t mask) {
  Rendezvous* unused = nullptr;
  for (unsigned i = 0; i < warp.meetings; ++i) {
    Rendezvous& meeting = warp.rendezvous[i];
    if (meeting.arrived && meeting.mask == mask) return meeting;
    if (!meeting.arrived && !unused) unused = &meeting;
  }
  if (!unused) {
    unused = &warp.rendezvous[warp.meetings++];
    unused->arrived = 0;
  }
  return *unused;
}

void rendezvous(uint32_t mask, Combine combine, void* argument, const char* operation,
                const Location& at) {
  Thread& thread = *machine.current;
  Warp& warp = machine.warps[thread.warp];
  const uint32_t me = 1u << thread.lane;
  if (!(mask & me))
    fail_at(concat_text(operation, ": the calling lane is not in its own mask"), text_of(at));
  if (mask & ~warp.live)
    fail_at(concat_text(operation, ": the mask names lanes that have returned or do not exist"),
            text_of(at));
  Rendezvous& meeting = meeting_of(warp, mask);
  if (meeting.arrived && meeting.operation != operation)
    fail_at(concat_text(operation, ": another lane of the same mask waits in ", meeting.operation,
                        " at ") +
                text_of(meeting.at),
            text_of(at));
  meeting.mask = mask;
  meeting.operation = operation;
  meeting.at = at;
  meeting.arguments[thread.lane] = argument;
  meeting.arrived |= me;
  if (meeting.arrived != mask) {
    thread.state = ThreadState::in_collective;
    thread.at = at;
    thread.waiting = operation;
    return yield(*thread.fiber);
  }
  if (combine) combine(meeting.arguments, mask);
  meeting.arrived = 0;
  for (uint32_t others = mask & ~me; others; others &= others - 1)
    make_ready(
        machine.threads[thread.warp * kWarp + static_cast<unsigned>(std::countr_zero(others))]);
  if (machine.order == Order::forward) return;
  make_ready(thread);  // the last lane to arrive need not be the first to go on
  yield(*thread.fiber);
}

void sync_warp(uint32_t mask, Location at) {
  const Inside inside(at);
  rendezvous(
      mask, [](void**, uint32_t) { ++machine.warps[machine.current->warp].phase; }, nullptr,
      "__syncwarp", at);
}

void fence() {
  const Inside inside;
  if (checker) checker->fence();
}

uint32_t own_lane_mask() { return 1u << machine.current->lane; }

}  // namespace passband::emulator
