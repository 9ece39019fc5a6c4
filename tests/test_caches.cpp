// The second level of cache, by which CPU kernels cut their blocks: its size, and the same bits
// whatever it is.
#include <doctest/doctest.h>
#include <unistd.h>

#include "tensor/cpu/caches.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/matmul.h"
#include "tests/naive.h"

namespace passband {
namespace {

constexpr int64_t kKib = 1024;

// Until the end of the scope.
class CacheOf {
 public:
  explicit CacheOf(int64_t kib) { cpu::set_second_level_cache(kib * kKib); }
  ~CacheOf() { cpu::set_second_level_cache(0); }
  CacheOf(const CacheOf&) = delete;
  CacheOf& operator=(const CacheOf&) = delete;
};

TEST_CASE("the second level of cache has a size, within bounds") {
  const int64_t here = cpu::second_level_cache();
  CHECK(here >= 256 * kKib);
  CHECK(here <= 4096 * kKib);
  const int64_t told = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (told >= 256 * kKib && told <= 4096 * kKib) CHECK(here == told);
  {
    const CacheOf other(768);
    CHECK(cpu::second_level_cache() == 768 * kKib);
  }
  CHECK(cpu::second_level_cache() == here);
}

// With more blocks than are wanted at any size, so that each size cuts its own.
std::vector<Tensor> results(DType dtype) {
  const auto random = [dtype](const Shape& shape, uint64_t seed) {
    return naive::random(shape, dtype, seed);
  };
  const Tensor a = random({2100, 800}, 1), w = random({700, 800}, 2), bias = random({700}, 3),
               residual = random({2100, 700}, 4), columns = random({300, 280}, 5),
               wide = random({300, 3300}, 6);
  std::vector<Tensor> all = {linear(a, w, bias, residual),
                             matmul(columns, wide, {.transpose_a = true})};
  // by Winograd's algorithm in f32 and bf16, and summed directly
  for (const int64_t stride : {1, 2}) {
    const Shape sx = stride == 1 ? Shape{8, 16, 16, 64} : Shape{2, 9, 9, 64},
                sw = stride == 1 ? Shape{64, 3, 3, 64} : Shape{600, 3, 3, 64};
    const ConvOptions options{.stride = stride, .padding = 1};
    const Tensor x = random(sx, 7), kernel = random(sw, 8), y = conv2d(x, kernel, {}, options);
    all.insert(all.end(), {y, conv2d_input_gradient(y, kernel, sx, options),
                           conv2d_weight_gradient(y, x, sw, options)});
  }
  return all;
}

TEST_CASE("every bit is the same whatever the size of the cache") {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    const std::vector<Tensor> here = results(dtype);
    for (const int64_t kib : {256, 512, 1024, 2048, 4096}) {
      const CacheOf other(kib);
      const std::vector<Tensor> there = results(dtype);
      for (size_t i = 0; i < here.size(); ++i) {
        INFO(name_of(dtype), ", ", kib, " KiB, result ", i);
        CHECK(there[i].values() == here[i].values());
      }
    }
  }
}

}  // namespace
}  // namespace passband
