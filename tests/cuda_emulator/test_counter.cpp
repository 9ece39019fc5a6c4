// What the emulator counts of memory, against closed forms.
#include <doctest/doctest.h>

#include <numeric>

#include "tests/cuda_emulator/controls.h"
#include "tests/cuda_emulator/counted_kernels.h"
#include "tests/cuda_emulator/counter.h"
#include "tests/cuda_emulator/device_array.h"

using namespace passband;
using namespace passband::testing;
using emulator::MemoryCounts;

namespace {

template <class F> MemoryCounts counts_of(const F& run) {
  emulator::reset_memory_counts();
  run();
  return emulator::memory_counts();
}

}  // namespace

TEST_CASE("a column of a 32 x 32 tile has 31 conflicts, one of a tile padded to 33 none") {
  const DeviceArray<float> y(32);
  emulator::for_each_schedule(2, [&] {
    MemoryCounts counts = counts_of([&] { read_columns(y, false); });
    CHECK(counts.bank_conflicts == 32 * 31);
    CHECK(counts.shared_instructions == 64);  // written by rows, read by columns
    CHECK(counts.shared_bytes == 2 * 32 * 32 * 4);
    CHECK(counts.shared_passes == 32 + 32 * 32);
    counts = counts_of([&] { read_columns(y, true); });
    CHECK(counts.bank_conflicts == 0);
    CHECK(counts.shared_passes == 64);
  });
}

TEST_CASE("conflicts of words that are s apart: gcd(s, 32) - 1, and of one word none") {
  const DeviceArray<float> y(32);
  for (int stride = 0; stride <= 32; ++stride) {
    const MemoryCounts counts = counts_of([&] { read_strided_words(y, stride); });
    CAPTURE(stride);
    CHECK(counts.bank_conflicts == (stride == 0 ? 0 : std::gcd(stride, 32) - 1));
    CHECK(counts.shared_instructions == 1);
  }
}

TEST_CASE("8 bytes a lane are served by half warps, 16 by quarters") {
  const DeviceArray<float> y(32);
  // n lanes at once, whose first words are s w apart, w words each: s of them share a bank, s a
  // power of two up to n; each pass but one of every group is a conflict.
  for (const int stride : {1, 2, 4, 8}) {
    CAPTURE(stride);
    const MemoryCounts pairs = counts_of([&] { read_strided_pairs(y, stride); });
    CHECK(pairs.bank_conflicts == 2 * (stride - 1));
    CHECK(pairs.shared_passes == 2 * stride);
    CHECK(pairs.shared_bytes == 32 * 8);
    const MemoryCounts packs = counts_of([&] { read_strided_packs(y, stride); });
    CHECK(packs.bank_conflicts == 4 * (stride - 1));
    CHECK(packs.shared_bytes == 32 * 16);
    CHECK(packs.shared_instructions == 1);
  }
}

TEST_CASE("sectors: four for 32 neighbours, one a lane from eight words apart on") {
  const DeviceArray<float> x(std::vector<float>(1024, 1.0f)), y(32);
  for (int stride = 1; stride <= 16; ++stride) {
    // x begins at a sector: the lanes touch floor(s i / 8), i = 0 to 31
    uint64_t sectors = 1;
    for (int i = 1; i < 32; ++i) sectors += stride * i / 8 != stride * (i - 1) / 8;
    const MemoryCounts counts = counts_of([&] { read_strided_global(y, x, stride); });
    CAPTURE(stride);
    CHECK(counts.global_sectors == sectors + 4);
    CHECK(counts.global_bytes == 2 * 32 * 4);
    CHECK(counts.global_instructions == 2);
  }
}

TEST_CASE("a pack is one access, and a half warp's instruction one instruction") {
  const DeviceArray<float> x(std::vector<float>(192, 1.0f)), y(48);
  const MemoryCounts counts = counts_of([&] { read_packs(y, x); });
  CHECK(counts.global_instructions == 4);
  CHECK(counts.global_bytes == 48 * 16 + 48 * 4);
  CHECK(counts.global_sectors == 48 / 2 + 48 / 8);
}

TEST_CASE("the two ways of a branch are two instructions") {
  const DeviceArray<float> y(32);
  for (const int lanes : {1, 7, 31}) {
    const MemoryCounts counts = counts_of([&] { read_divided(y, lanes); });
    CHECK(counts.shared_instructions == 2);
    CHECK(counts.shared_bytes == 128);
    CHECK(counts.bank_conflicts == 0);
  }
}

TEST_CASE("an asynchronous copy counts once on either side, whenever it arrives") {
  const DeviceArray<float> x(std::vector<float>(128, 1.0f)), y(32);
  emulator::for_each_schedule(2, [&] {
    const MemoryCounts counts = counts_of([&] { copy_asynchronously(y, x); });
    CHECK(counts.global_bytes == 512 + 128);
    CHECK(counts.global_sectors == 16 + 4);
    CHECK(counts.shared_instructions == 2);
    CHECK(counts.shared_bytes == 512 + 128);
    CHECK(counts.shared_passes == 4 + 1);
    CHECK(counts.bank_conflicts == 0);
  });
}

TEST_CASE("rows of matrices 64 elements apart meet in one place, 8 more keep them apart") {
  const DeviceArray<float> y(32);
  CHECK(counts_of([&] { load_matrices(y, 64); }).bank_conflicts == 4 * 7);
  CHECK(counts_of([&] { load_matrices(y, 8); }).bank_conflicts == 0);
  CHECK(counts_of([&] { load_matrices(y, 40); }).bank_conflicts == 0);
}

TEST_CASE("barriers by block, shuffles by warp") {
  const DeviceArray<float> y(3);
  const emulator::Statistics before = emulator::statistics();
  wait_and_shuffle(y);
  const emulator::Statistics after = emulator::statistics();
  CHECK(after.barriers - before.barriers == 3 * 2);
  CHECK(after.warp_operations - before.warp_operations == 3 * 5);
  for (const float value : y.to_host()) CHECK(value == 32);
}
