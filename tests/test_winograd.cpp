// Winograd's convolution and its two gradients against naive f64 loops: sizes around every edge of
// tiles and blocks, the error beside that of a direct f32 sum, and the same bits on any threads.
#include <doctest/doctest.h>

#include "tensor/core/parallel.h"
#include "tensor/ops/conv/winograd.h"
#include "tests/naive.h"

namespace passband {
namespace {

struct Case {
  Shape x;
  int64_t o;
  ConvOptions options = {.padding = 1};

  Shape w() const { return {o, 3, 3, x[3]}; }
  Shape y() const {
    const auto& p = options.padding;
    return {x[0], x[1] + p.top + p.bottom - 2, x[2] + p.left + p.right - 2, o};
  }
  cpu::ConvShape shape() const {
    const auto& p = options.padding;
    return {.n = x[0],
            .c = x[3],
            .o = o,
            .groups = 1,
            .rows = {x[1], y()[1], 3, 1, 1, p.top},
            .columns = {x[2], y()[2], 3, 1, 1, p.left}};
  }
};

struct Results {
  Tensor y, dx, dw;
};

struct Operands {
  Tensor x, w, bias, dy;

  explicit Operands(const Case& c)
      : x(naive::random(c.x, DType::f32, 1)),
        w(naive::random(c.w(), DType::f32, 2)),
        bias(naive::random({c.o}, DType::f32, 3)),
        dy(naive::random(c.y(), DType::f32, 4)) {}

  Results winograd(const Case& c) const {
    const cpu::ConvShape s = c.shape();
    REQUIRE(cpu::winograd_suits(s));
    Results r{Tensor::empty(c.y()), Tensor::empty(c.x), Tensor::empty(c.w())};
    cpu::winograd_forward(s, r.y, x, w, bias);
    cpu::winograd_backward_input(s, r.dx, dy, w);
    cpu::winograd_backward_weight(s, r.dw, dy, x);
    return r;
  }
};

// Sums of products in T, and the f64 sums of their magnitudes.
template <class T> struct Sums {
  std::vector<T> value;
  std::vector<double> magnitude;

  explicit Sums(const Tensor& like)
      : value(static_cast<size_t>(like.numel())), magnitude(value.size()) {}
  void add(int64_t at, double a, double b) {
    value[static_cast<size_t>(at)] += static_cast<T>(a) * static_cast<T>(b);
    magnitude[static_cast<size_t>(at)] += std::abs(a * b);
  }
};

template <class T> struct Naive {
  Sums<T> y, dx, dw;

  Naive(const Case& c, const Operands& o) : y(o.dy), dx(o.x), dw(o.w) {
    const std::vector<double> x = o.x.values(), w = o.w.values(), dy = o.dy.values(),
                              bias = o.bias.values();
    naive::for_conv_products(c.x, c.y(), c.w(), c.options, [&](int64_t iy, int64_t ix, int64_t iw) {
      const double vx = x[static_cast<size_t>(ix)], vw = w[static_cast<size_t>(iw)],
                   vdy = dy[static_cast<size_t>(iy)];
      y.add(iy, vx, vw);
      dx.add(ix, vdy, vw);
      dw.add(iw, vdy, vx);
    });
    for (size_t i = 0; i < y.value.size(); ++i)
      y.add(static_cast<int64_t>(i), bias[i % bias.size()], 1);
  }
};

// An error is small beside the largest sum of magnitudes: what else a tile holds is rounded too.
struct Deviation {
  double worst = 0, rms = 0;
};

template <class Values> Deviation deviation(const Values& actual, const Sums<double>& wanted) {
  double largest = 0, squares = 0;
  Deviation d;
  for (const double m : wanted.magnitude) largest = std::max(largest, m);
  REQUIRE(actual.size() == wanted.value.size());
  for (size_t i = 0; i < wanted.value.size(); ++i) {
    const double error = std::abs(static_cast<double>(actual[i]) - wanted.value[i]) / largest;
    d.worst = numeric::worse(d.worst, error);
    squares += error * error;
  }
  d.rms = std::sqrt(squares / static_cast<double>(wanted.value.size()));
  return d;
}

// 15 roundings of 2^-24, times what cancels in the transforms.
constexpr double kBound = 2e-6;

void check(const Case& c) {
  INFO("x ", c.x, " channels of y ", c.o, " ", c.options.padding);
  const Operands o(c);
  const Results r = o.winograd(c);
  const Naive<double> exact(c, o);
  CHECK(deviation(r.y.values(), exact.y).worst <= kBound);
  CHECK(deviation(r.dx.values(), exact.dx).worst <= kBound);
  CHECK(deviation(r.dw.values(), exact.dw).worst <= kBound);
}

TEST_CASE("maps of every size around the tiles") {
  for (int64_t h = 1; h <= 9; ++h)
    for (int64_t w = 1; w <= 9; ++w) check({{1, h, w, 5}, 3});
  check({{2, 13, 32, 3}, 4});
  check({{1, 32, 13, 4}, 3});
}

TEST_CASE("paddings of every side") {
  for (const Padding padding :
       {Padding(0), Padding(2), Padding(3), Padding(0, 2), Padding(0, 1, 2, 0)})
    check({{2, 6, 7, 4}, 5, {.padding = padding}});
}

TEST_CASE("channels around vectors, panels and blocks") {
  for (const int64_t ci : {1, 3, 15, 16, 17, 64, 80})
    for (const int64_t co : {1, 3, 15, 16, 17, 64, 80}) check({{1, 5, 6, ci}, co});
  check({{1, 3, 3, 130}, 131});
}

TEST_CASE("tiles around groups, chunks and parts, and fewer or more than channels") {
  for (const int64_t rows : {4, 6, 14})  // of a register tile, at the levels of instructions
    for (const int64_t tiles : {rows - 1, rows, rows + 1, 2 * rows + 1})
      check({{tiles, 4, 3, 8}, 40});
  for (const int64_t tiles : {47, 49}) check({{tiles, 4, 3, 8}, 40});
  check({{259, 2, 4, 8}, 24});
  check({{1037, 2, 1, 3}, 2});
}

TEST_CASE("the error is about twice that of a direct sum in f32") {
  const Case c{{4, 16, 16, 64}, 16};
  const Operands o(c);
  const Results r = o.winograd(c);
  const Naive<double> exact(c, o);
  const Naive<float> direct(c, o);
  const auto compare = [](const std::string& name, const Tensor& ours, const Sums<float>& naive,
                          const Sums<double>& wanted, double most) {
    const Deviation a = deviation(ours.values(), wanted), b = deviation(naive.value, wanted);
    INFO(name, ": rms ", a.rms, " worst ", a.worst, ", direct sum: ", b.rms, " ", b.worst);
    CHECK(a.rms <= most * b.rms);
    CHECK(a.worst <= kBound);
  };
  compare("forward", r.y, direct.y, exact.y, 2.5);
  compare("input gradient", r.dx, direct.dx, exact.dx, 2.5);
  compare("weight gradient", r.dw, direct.dw, exact.dw, 1.5);
}

TEST_CASE("every bit is the same on any number of threads and in every run") {
  const int threads = thread_count();
  for (const Case& c :
       {Case{{5, 9, 10, 24}, 20}, Case{{2, 4, 4, 16}, 100}, Case{{70, 4, 4, 8}, 8}}) {
    const Operands o(c);
    set_thread_count(1);
    const Results one = o.winograd(c);
    const SplitShortLoops split;
    for (const int count : {1, 2, 3}) {
      set_thread_count(count);
      const Results many = o.winograd(c);
      CHECK(many.y.values() == one.y.values());
      CHECK(many.dx.values() == one.dx.values());
      CHECK(many.dw.values() == one.dw.values());
    }
  }
  set_thread_count(threads);
}

}  // namespace
}  // namespace passband
