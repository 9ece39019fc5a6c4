// Sound kernels give right answers in the emulator, and the same bits under every schedule.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "tensor/core/random.h"
#include "tests/cuda_emulator/controls.h"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/test_kernels.h"
#include "tests/worst.h"

using namespace passband;
using namespace passband::testing;

namespace {

constexpr int kSeeds = 3;

template <class T> std::vector<T> random_values(size_t count, uint64_t site) {
  RandomSequence sequence({.seed = 1, .site = site});
  std::vector<T> values(count);
  for (T& value : values) value = T(sequence.uniform(-1.0f, 1.0f));
  return values;
}

// What `run` returns, which computes it by kernels; after checking that every schedule gives the
// same bits.
template <class F> auto same_under_every_schedule(F&& run) {
  using Result = decltype(run());
  Result first;
  bool have_first = false;
  emulator::for_each_schedule(kSeeds, [&] {
    CAPTURE(emulator::describe(emulator::options()));
    Result result = run();
    if (!have_first) {
      first = result;
      have_first = true;
    }
    REQUIRE(result.size() == first.size());
    CHECK_MESSAGE(std::memcmp(result.data(), first.data(), first.size() * sizeof(first[0])) == 0,
                  "the result depends on the schedule");
  });
  return first;
}

// Largest |c - a b^T| for a (m, k), b (n, k), the product in double.
template <class T> double product_error(const std::vector<float>& c, const std::vector<T>& a,
                                        const std::vector<T>& b, int m, int n, int k) {
  double worst = 0;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double exact = 0;
      for (int l = 0; l < k; ++l)
        exact += double{float(a[i * k + l])} * double{float(b[j * k + l])};
      worst = numeric::worse(worst, std::abs(exact - c[i * n + j]));
    }
  return worst;
}

}  // namespace

TEST_CASE("axpy handles vectors, tails and misaligned starts") {
  for (const int64_t n : {0, 1, 3, 4, 127, 512, 1001}) {
    for (const int start : {0, 1}) {
      const auto x = random_values<float>(n + 1, 1), y = random_values<float>(n + 1, 2);
      const auto result = same_under_every_schedule([&] {
        const DeviceArray<float> dx(x), dy(y);
        axpy(2.5f, dx + start, dy + start, n);
        return dy.to_host();
      });
      for (int64_t i = 0; i < n; ++i)
        CHECK(result[i + start] ==
              doctest::Approx(y[i + start] + 2.5 * x[i + start]).epsilon(1e-6));
    }
  }
}

TEST_CASE("a sum in one launch is exact and the same bits under every schedule") {
  for (const int64_t n : {1, 128, 4099}) {
    const auto x = random_values<float>(n, 3);
    const double exact = std::accumulate(x.begin(), x.end(), 0.0);
    const auto result = same_under_every_schedule([&] {
      const DeviceArray<float> dx(x), total(1), partial(7);
      const DeviceArray<unsigned> finished(std::vector<unsigned>{0});
      sum(dx, total, partial, finished, n, 7);
      return total.to_host();
    });
    CHECK(std::abs(result[0] - exact) < 1e-6 * std::sqrt(double(n)) + 1e-6);
  }
}

TEST_CASE("moments of rows are exact and the same bits under every schedule") {
  const int rows = 3, columns = 101;
  const auto x = random_values<float>(rows * columns, 15);
  const auto result = same_under_every_schedule([&] {
    const DeviceArray<float> dx(x), both(2 * rows);
    moments(dx, both, both + rows, rows, columns);
    return both.to_host();
  });
  for (int r = 0; r < rows; ++r) {
    double mean = 0, variance = 0;
    for (int c = 0; c < columns; ++c) mean += x[r * columns + c] / double(columns);
    for (int c = 0; c < columns; ++c) variance += std::pow(x[r * columns + c] - mean, 2) / columns;
    CHECK(result[r] == doctest::Approx(mean).epsilon(1e-5));
    CHECK(result[rows + r] == doctest::Approx(variance).epsilon(1e-5));
  }
}

TEST_CASE("the tiled product equals the naive one for every tile size and odd shapes") {
  const int m = 45, n = 37, k = 29;
  const auto a = random_values<float>(m * k, 4), b = random_values<float>(n * k, 5);
  std::vector<float> b_rows(k * n);  // (k, n)
  for (int j = 0; j < n; ++j)
    for (int l = 0; l < k; ++l) b_rows[l * n + j] = b[j * k + l];
  for (const int tile : {8, 16, 32}) {
    const auto c = same_under_every_schedule([&] {
      const DeviceArray<float> da(a), db(b_rows), dc(m * n);
      matmul_tiled(da, db, dc, m, n, k, tile);
      return dc.to_host();
    });
    CHECK(product_error(c, a, b, m, n, k) < 4 * 1.2e-7 * std::sqrt(k));
  }
}

TEST_CASE("tensor-core products equal the naive ones") {
  const int m = 32, n = 24, k = 64;
  SUBCASE("bf16") {
    const auto a = random_values<bf16>(m * k, 6), b = random_values<bf16>(n * k, 7);
    const auto c = same_under_every_schedule([&] {
      const DeviceArray<bf16> da(a), db(b);
      const DeviceArray<float> dc(m * n);
      matmul_bf16(da, db, dc, m, n, k);
      return dc.to_host();
    });
    CHECK(product_error(c, a, b, m, n, k) < 4 * 1.2e-7 * k);
  }
  SUBCASE("tf32, whose operands have 10 bits of mantissa") {
    const auto a = random_values<float>(m * k, 8), b = random_values<float>(n * k, 9);
    const auto c = same_under_every_schedule([&] {
      const DeviceArray<float> da(a), db(b), dc(m * n);
      matmul_tf32(da, db, dc, m, n, k);
      return dc.to_host();
    });
    const double error = product_error(c, a, b, m, n, k);
    CHECK(error < 0x1p-10 * std::sqrt(double(k)));
    CHECK(error > 0x1p-20);  // the rounding of the operands is there
  }
}

TEST_CASE("the pipelined product with cp.async and ldmatrix equals the naive one") {
  for (const auto& [m, n, k] : {std::tuple{64, 16, 32}, {80, 32, 96}, {16, 48, 128}}) {
    const auto a = random_values<bf16>(m * k, 10), b = random_values<bf16>(n * k, 11);
    const auto c = same_under_every_schedule([&, m = m, n = n, k = k] {
      const DeviceArray<bf16> da(a), db(b);
      const DeviceArray<float> dc(m * n);
      matmul_bf16_pipelined(da, db, dc, m, n, k);
      return dc.to_host();
    });
    CHECK(product_error(c, a, b, m, n, k) < 4 * 1.2e-7 * k);
  }
}

TEST_CASE("softmax over rows of bf16 equals the softmax in double") {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {5, 33}, {9, 200}}) {
    const auto x = random_values<bf16>(rows * columns, 12);
    const auto result = same_under_every_schedule([&, rows = rows, columns = columns] {
      const DeviceArray<bf16> dx(x), dy(rows * columns);
      softmax_rows(dx, dy, rows, columns);
      return dy.to_host();
    });
    for (int r = 0; r < rows; ++r) {
      double sum = 0;
      for (int c = 0; c < columns; ++c) sum += std::exp(double{float(x[r * columns + c])});
      for (int c = 0; c < columns; ++c) {
        const double exact = std::exp(double{float(x[r * columns + c])}) / sum;
        CHECK(float(result[r * columns + c]) == doctest::Approx(exact).epsilon(0x1p-8));
      }
    }
  }
}

TEST_CASE("warp intrinsics give what the CUDA guide says") {
  const auto results = same_under_every_schedule([] {
    const DeviceArray<int> d(kWarpResults * 32);
    warp_results(d);
    return d.to_host();
  });
  unsigned thirds = 0, exclusive = 0;
  for (int lane = 0; lane < 32; ++lane) thirds |= (lane % 3 == 0 ? 1u : 0u) << lane;
  for (int lane = 0; lane < 32; ++lane) exclusive ^= 1u << lane % 5;
  for (int lane = 0; lane < 32; ++lane) {
    CAPTURE(lane);
    const int first16 = lane / 16 * 16;
    const int expected[kWarpResults] = {
        50,
        (lane / 8 * 8 + 1) * 10,
        (lane ^ 3) * 10,
        (lane < 2 ? lane : lane - 2) * 10,
        (lane + 3 < first16 + 16 ? lane + 3 : lane) * 10,
        static_cast<int>(thirds),
        1,
        0,
        31 * 32 / 2 - 320,
        -10,
        0,
        static_cast<int>(exclusive),
        static_cast<int>(0xfu << lane / 4 * 4),
        -1,
        1,
        lane < 16 ? 16 : static_cast<int>(0xaaaa0000u),
        lane < 31 ? lane + 1 : lane,
    };
    for (int row = 0; row < kWarpResults; ++row) {
      CAPTURE(row);
      CHECK(results[row * 32 + lane] == expected[row]);
    }
  }
}

TEST_CASE("integer atomics count exactly, in shared and in device memory") {
  const int n = 1000, bins = 13;
  std::vector<int> x(n);
  std::vector<unsigned> expected(bins);
  for (int i = 0; i < n; ++i) ++expected[x[i] = i * i % bins];
  const auto counts = same_under_every_schedule([&] {
    const DeviceArray<int> dx(x);
    const DeviceArray<unsigned> d(std::vector<unsigned>(bins, 0));
    histogram(dx, d, n, bins);
    return d.to_host();
  });
  CHECK(counts == expected);
}

TEST_CASE("counting barriers see the whole block") {
  const int n = 192, block = 48;  // the last warp of a block is half empty
  std::vector<int> x(n);
  for (int i = 0; i < n; ++i) x[i] = i < block ? 1 : i < 2 * block ? 0 : i % 3;
  const auto y = same_under_every_schedule([&] {
    const DeviceArray<int> dx(x), d(3 * n);
    barrier_votes(dx, d, n, block);
    return d.to_host();
  });
  for (int i = 0; i < n; ++i) {
    int odd = 0;
    for (int j = i / block * block; j < i / block * block + block; ++j) odd += x[j] % 2;
    CHECK(y[i] == odd);
    CHECK(y[n + i] == (odd == block));
    CHECK(y[2 * n + i] == (odd > 0));
  }
}

TEST_CASE("transpose is exact for shapes that fill no tile") {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {17, 33}, {64, 5}}) {
    const auto x = random_values<float>(rows * columns, 13);
    const auto y = same_under_every_schedule([&, rows = rows, columns = columns] {
      const DeviceArray<float> dx(x), dy(rows * columns);
      transpose(dx, dy, rows, columns);
      return dy.to_host();
    });
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c) CHECK(y[c * rows + r] == x[r * columns + c]);
  }
}

TEST_CASE("the same order and seed repeat a run switch for switch") {
  const auto x = random_values<float>(777, 14);
  const auto switches = [&] {
    const uint64_t before = emulator::statistics().switches;
    const DeviceArray<float> dx(x), total(1), partial(5);
    const DeviceArray<unsigned> finished(std::vector<unsigned>{0});
    sum(dx, total, partial, finished, 777, 5);
    return emulator::statistics().switches - before;
  };
  emulator::for_each_schedule(2, [&] { CHECK(switches() == switches()); });
}
