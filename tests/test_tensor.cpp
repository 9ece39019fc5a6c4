// Tensors made from numbers of any type and from random numbers.
#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"

using namespace passband;

namespace {

using Doubles = std::vector<double>;

// The largest gap between the empirical distribution of the samples and `cdf` (Kolmogorov and
// Smirnov).
template <class Cdf> double gap_to(Doubles samples, Cdf&& cdf) {
  std::ranges::sort(samples);
  const auto n = static_cast<double>(samples.size());
  double gap = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const double p = cdf(samples[i]), below = static_cast<double>(i) / n;
    gap = std::max({gap, p - below, below + 1 / n - p});
  }
  return gap;
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace

TEST_CASE("a shape with more elements than any memory is refused in words") {
  const int64_t large = int64_t{1} << 40;
  CHECK_THROWS_WITH_AS(Tensor::empty({large, large}), doctest::Contains("more elements than"),
                       Error);
  CHECK_THROWS_AS(Tensor::empty({large}), OutOfMemory);
  CHECK(Shape{large, large, 0}.numel() == 0);
}

TEST_CASE("tensors are made from numbers of any type, in braces or side by side in memory") {
  const Doubles expected = {1, 2, 3};
  const int n = 1;
  const float half = 0.5f;
  const long numbers[] = {1, 2, 3};
  CHECK(Tensor::from({1, 2, 3}, {3}).values() == expected);
  CHECK(Tensor::from({n, n + 1, n + 2}, {3}).values() == expected);
  CHECK(Tensor::from({half, 2 * half}, {2}).values() == Doubles{0.5, 1});
  CHECK(Tensor::from({1, 2.5}, {2}, DType::f64).values() == Doubles{1, 2.5});
  CHECK(Tensor::from(std::vector<float>{1, 2, 3}, {3}).values() == expected);
  CHECK(Tensor::from(std::array<uint8_t, 3>{1, 2, 3}, {3}, DType::u8).values() == expected);
  CHECK(Tensor::from(std::vector<int64_t>{1, 2, 3}, {3}, DType::i32).values() == expected);
  CHECK(Tensor::from(std::vector<bf16>{1, 2, 3}, {3, 1}).values() == expected);
  CHECK(Tensor::from(std::array{true, false}, {2}).values() == Doubles{1, 0});
  CHECK(Tensor::from(numbers, {3}, DType::bf16).values() == expected);
  CHECK(Tensor::from(std::span(numbers).first(2), {2}).values() == Doubles{1, 2});
  CHECK(Tensor::from({}, {0}).numel() == 0);
}

TEST_CASE("numbers that have no place in the tensor are an error, not another number") {
  CHECK_THROWS_WITH_AS(Tensor::from({1, 2}, {3}), "tensor: 2 values do not fill [3]", Error);
  CHECK_THROWS_WITH_AS(Tensor::from({255, 256}, {2}, DType::u8), "tensor: 256 is no value of u8",
                       Error);
  CHECK_THROWS_WITH_AS(Tensor::from({0.5}, {1}, DType::i32), "tensor: 0.5 is no value of i32",
                       Error);
  CHECK_THROWS_AS(Tensor::from({std::nan("")}, {1}, DType::i32), Error);
  CHECK_THROWS_AS(Tensor::from(std::vector<int64_t>{int64_t{1} << 31}, {1}, DType::i32), Error);
  CHECK(Tensor::from({-2147483648.0, 2147483647.0}, {2}, DType::i32).values() ==
        Doubles{-2147483648.0, 2147483647.0});
}

TEST_CASE("randn is normal and uniform is uniform, whatever the type") {
  Generator random(7);
  const Shape shape{100, 200};
  // 1.95 / sqrt(n) is exceeded by chance once in a thousand times; the key is fixed.
  const double most = 1.95 / std::sqrt(20000.0);
  CHECK(gap_to(Tensor::randn(shape, random.next()).values(), normal_cdf) < most);
  CHECK(gap_to(Tensor::randn(shape, random.next(), DType::f64).values(), normal_cdf) < most);
  const Doubles u = Tensor::uniform(shape, -3, 5, random.next()).values();
  CHECK(gap_to(u, [](double x) { return (x + 3) / 8; }) < most);
  CHECK(*std::ranges::min_element(u) >= -3);
  CHECK(*std::ranges::max_element(u) < 5);
  CHECK_THROWS_AS(Tensor::randn({2}, random.next(), DType::i32), Error);
}

TEST_CASE("random tensors repeat by key, differ by draw, and do not know of threads") {
  Generator random(7), again(7), other(8);
  const int threads = thread_count();
  const Doubles first = Tensor::randn({1001}, random.next()).values();
  set_thread_count(1);
  CHECK(Tensor::randn({1001}, again.next()).values() == first);
  set_thread_count(3);
  CHECK(Tensor::randn({1001}, Generator(7).next()).values() == first);
  set_thread_count(threads);
  CHECK(Tensor::randn({1001}, random.next()).values() != first);
  CHECK(Tensor::randn({1001}, other.next()).values() != first);
  CHECK(Tensor::randn({10}, again.next()).values() ==
        Tensor::randn({1001}, {7, 1, site_of("generator")}).view(0, {10}).values());
}
