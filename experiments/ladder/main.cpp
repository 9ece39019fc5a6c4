// Prints, for each step of each ladder, what the emulator counts while it runs, and fails when a
// step computes something else than the library's operation.
//   usage: ladder [softmax | matmul | convolution | attention ...]
#include <algorithm>
#include <cstdio>
#include <exception>

#include <cuda_emulator/controls.h>
#include <cuda_emulator/counter.h>

#include "experiments/ladder/steps.h"

namespace {

using namespace passband::emulator;

constexpr const char* kLegend = R"(
asked     KiB of global memory that threads ask for
moved     KiB of global memory in the 32-byte sectors that this touches; no cache is modelled
shared    KiB of shared memory read and written
conflicts passes of shared memory beyond those its bytes need: two words of one bank
barriers  that blocks pass, summed over blocks
instr     thousand instructions of warps: loads, stores, copies, shuffles, tensor-core products;
          arithmetic and addresses, which the compiler decides, are not counted
kop       thousand operations of the algorithm, by formula (for ops / byte: divide by moved)
error     largest difference to the library's operation
)";

// Returns whether all steps compute what they should.
bool print(const ladder::Ladder& ladder) {
  std::printf("\n%s: %s\n%-15s %-34s %7s %7s %7s %9s %8s %7s %6s %8s\n", ladder.operation.c_str(),
              ladder.sizes.c_str(), "step", "what changed", "asked", "moved", "shared", "conflicts",
              "barriers", "instr", "kop", "error");
  bool right = true;
  for (size_t i = 0; i < ladder.steps.size(); ++i) {
    const ladder::Step& step = ladder.steps[i];
    const Statistics before = statistics();
    reset_memory_counts();
    const double error = ladder::worst_error(ladder, step.run());
    const MemoryCounts memory = memory_counts();
    const Statistics after = statistics();
    const uint64_t operations = after.warp_operations - before.warp_operations;
    const auto kilo = [](uint64_t count, double unit) { return static_cast<double>(count) / unit; };
    std::printf("%zu %-13s %-34s %7.0f %7.0f %7.0f %9llu %8llu %7.1f %6.0f %8.1e%s\n", i + 1,
                step.name.c_str(), step.change.c_str(), kilo(memory.global_bytes, 1024),
                kilo(memory.global_sectors, 1024 / 32.0), kilo(memory.shared_bytes, 1024),
                static_cast<unsigned long long>(memory.bank_conflicts),
                static_cast<unsigned long long>(after.barriers - before.barriers),
                kilo(memory.global_instructions + memory.shared_instructions + operations, 1000),
                step.operations / 1000, error, error <= step.tolerance ? "" : "  WRONG");
    right = right && error <= step.tolerance;
  }
  return right;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    bool right = true, any = false;
    for (const ladder::Ladder& ladder : ladder::all_ladders(/*small=*/false)) {
      const auto is_it = [&](const char* name) { return ladder.operation == name; };
      if (count > 1 && std::none_of(arguments + 1, arguments + count, is_it)) continue;
      any = true;
      right = print(ladder) && right;
    }
    if (!any) {
      std::fprintf(stderr, "ladder: takes softmax, matmul, convolution or attention\n");
      return 2;
    }
    std::fputs(kLegend, stdout);
    return right ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ladder: %s\n", error.what());
    return 1;
  }
}
