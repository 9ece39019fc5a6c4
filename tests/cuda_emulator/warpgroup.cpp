// wgmma, from the descriptors of its operands (PTX ISA, "Matrix descriptor"; 128-byte swizzling
// alone). The hardware may read the operands at any time between the instruction and the wait for
// its group: at once or at the wait is run, by order and seed, as for cp.async.
#include <algorithm>
#include <bit>

#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

namespace {

constexpr int kDepth = 16;  // k of an instruction

struct Pending {
  WarpgroupProduct product;
  unsigned group;
};

struct ThreadProducts {
  std::vector<Pending> pending;
  unsigned groups = 0;   // committed
  bool begun = false;    // wgmma.fence since the last group
  bool arrived = false;  // copies that the products' way to memory was not told of
};

std::vector<ThreadProducts> by_thread;

ThreadProducts& mine() {
  if (by_thread.size() < machine.threads.size()) by_thread.resize(machine.threads.size());
  return by_thread[machine.current->linear];
}

// What the bits of a descriptor say.
struct Descriptor {
  size_t begin, next_rows, next_lines;  // bytes: from 64 rows to the next (by side), from 8 lines
  bool by_side;

  Descriptor(uint64_t bits, bool by_side)
      : begin((bits & 0x3fff) << 4),
        next_rows((bits >> 16 & 0x3fff) << 4),
        next_lines((bits >> 32 & 0x3fff) << 4),
        by_side(by_side) {
    if (bits >> 62 != 1) fail("wgmma: an operand's descriptor asks for another swizzling than 128");
  }
  size_t at(int row, int k) const {
    const auto r = static_cast<size_t>(row), c = static_cast<size_t>(k);
    const size_t plain =
        by_side ? begin + r / 64 * next_rows + c / 8 * next_lines + c % 8 * 128 + r % 64 * 2
                : begin + r / 8 * next_lines + r % 8 * 128 + c * 2;
    return plain ^ ((plain >> 7 & 7) << 4);
  }
};

// `rows` rows of an operand, by k.
void read(float* to, const Descriptor& operand, int first, int rows, const Location& at) {
  for (int k = 0; k < kDepth; ++k)
    for (int row = 0; row < rows; ++row) {
      const char* from = shared_begin() + operand.at(first + row, k);
      if (checker) checker->access(from, 2, Access::read, at);
      uint16_t bits;
      memcpy(&bits, from, 2);
      to[k * rows + row] = std::bit_cast<float>(uint32_t{bits} << 16);
    }
}

// d of a whole warp, whose lanes are (row g, columns 2 t and 2 t + 1) of each 16 x 8.
void multiply(void** arguments, uint32_t) {
  const auto& first = *static_cast<const WarpgroupProduct*>(arguments[0]);
  const int warp = static_cast<int>(machine.current->warp % 4), n = first.columns;
  const Location at = machine.inside_at;
  std::vector<float> a(16 * kDepth), b(static_cast<size_t>(n) * kDepth),
      sums(static_cast<size_t>(n));
  read(a.data(), Descriptor(first.a, first.side_a), 16 * warp, 16, at);
  read(b.data(), Descriptor(first.b, first.side_b), 0, n, at);
  machine.statistics.products += static_cast<uint64_t>(16 * n * kDepth);
  for (int row = 0; row < 16; ++row) {
    std::ranges::fill(sums, 0.0f);
    for (int k = 0; k < kDepth; ++k)
      for (int c = 0; c < n; ++c)
        sums[static_cast<size_t>(c)] +=
            a[static_cast<size_t>(k * 16 + row)] * b[static_cast<size_t>(k * n + c)];
    for (int c = 0; c < n; ++c) {
      const auto lane = static_cast<size_t>(row % 8 * 4 + c % 8 / 2);
      float* d = static_cast<const WarpgroupProduct*>(arguments[lane])->d;
      d[c / 8 * 4 + row / 8 * 2 + c % 2] += sums[static_cast<size_t>(c)];
    }
  }
}

void perform(WarpgroupProduct product, const Location& at) {
  rendezvous(~0u, multiply, &product, "wgmma", at);
}

bool products_late() { return options().order != Order::reverse && options().seed % 2 == 0; }

}  // namespace

uint64_t shared_offset(const void* shared) {
  return static_cast<uint64_t>(static_cast<const char*>(shared) - shared_begin());
}

void reset_warpgroups() { by_thread.clear(); }

void note_arrived_copies() { mine().arrived = true; }

void fence_async_proxy() { mine().arrived = false; }

void warpgroup_begin() { mine().begun = true; }

void warpgroup_multiply_add(const WarpgroupProduct& product, Location at) {
  const Inside inside(at);
  if (!mine().begun) fail_at("wgmma: no wgmma.fence before the products of a group", text_of(at));
  if (std::ranges::any_of(by_thread, &ThreadProducts::arrived))
    fail_at("wgmma: copies to shared memory have arrived, and no fence.proxy.async has followed",
            text_of(at));
  if (machine.threads.size() % 128 != 0)
    fail_at("wgmma: the block is not made of whole groups of four warps", text_of(at));
  if (!products_late()) perform(product, at);
  mine().pending.push_back({product, mine().groups});
}

void warpgroup_commit() {
  ++mine().groups;
  mine().begun = false;
}

void warpgroup_wait(int groups_left, Location at) {
  const Inside inside(at);
  const unsigned groups = mine().groups;
  while (!mine().pending.empty()) {
    const Pending oldest = mine().pending.front();
    if (oldest.group + static_cast<unsigned>(groups_left) >= groups) return;
    mine().pending.erase(mine().pending.begin());
    if (products_late()) perform(oldest.product, at);
  }
}

}  // namespace passband::emulator
