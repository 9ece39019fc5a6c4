// Layer norm on the CPU: one pass over memory in each direction; a row stays in the first-level
// cache while it is read for its mean, its variance and its result.
#include <array>
#include <cmath>

#include "tensor/ops/layer_norm_kernels.h"
#include "tensor/ops/norm_columns.h"

LEVEL_BEGIN
namespace {

// Sums of term(c, count)[k] over the columns of a row, in four chains that do not wait for one
// another.
template <int K, class A, class Term> std::array<A, K> sum_row(int64_t columns, const Term& term) {
  Vec<A> sums[4][K] = {};
  const int64_t even = columns / (4 * kLanes<A>)*(4 * kLanes<A>);
  for (int64_t c = 0; c < even; c += 4 * kLanes<A>)
    for (int u = 0; u < 4; ++u) {
      const std::array<Vec<A>, K> t = term(c + u * kLanes<A>, kLanes<A>);
      for (int k = 0; k < K; ++k) sums[u][k] += t[k];
    }
  for_vectors<A>(even, columns, [&](int64_t c, int count) {
    const std::array<Vec<A>, K> t = term(c, count);
    for (int k = 0; k < K; ++k) sums[0][k] += t[k];
  });
  std::array<A, K> total;
  for (int k = 0; k < K; ++k)
    total[k] = sum_of<A>((sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k]));
  return total;
}

// `count` lanes of a tail: lanes past the row's end would otherwise count as -mean.
template <class A> inline Vec<A> first_lanes(Vec<A> v, int count) {
  return count == kLanes<A> ? v : keep_bits<A>(v, static_cast<uint16_t>((1u << count) - 1));
}

template <class T, class A = Accumulate<T>> struct RowStatistics {
  A mean, rstd;

  RowStatistics(const T* x, int64_t columns, double eps) {
    const A scale = A(1) / static_cast<A>(columns);
    mean = scale * sum_row<1, A>(columns, [&](int64_t c, int count) {
             return std::array{load(x + c, count)};
           })[0];
    const A squares = sum_row<1, A>(columns, [&](int64_t c, int count) {
      const Vec<A> d = first_lanes<A>(load(x + c, count) - mean, count);
      return std::array<Vec<A>, 1>{d * d};
    })[0];
    rstd = A(1) / std::sqrt(squares * scale + static_cast<A>(eps));
  }
};

// One row of the gradient, with what is `added` where there is something, and what the row adds to
// dgamma (sums) and dbeta (sums + columns).
template <class T, class A = Accumulate<T>>
void backward_row(T* dx, A* sums, const T* dy, const T* added, const T* x, const A* gamma, A mean,
                  A rstd, int64_t columns) {
  const auto xhat = [&](int64_t c, int count) { return (load(x + c, count) - mean) * rstd; };
  for_vectors<A>(0, columns, [&](int64_t c, int count) {
    const Vec<A> g = load(dy + c, count);
    store(sums + c, load(sums + c, count) + g * xhat(c, count), count);
    store(sums + columns + c, load(sums + columns + c, count) + g, count);
  });
  if (!dx) return;
  const std::array<A, 2> total = sum_row<2, A>(columns, [&](int64_t c, int count) {
    const Vec<A> g = load(dy + c, count) * load(gamma + c, count);
    return std::array<Vec<A>, 2>{g, g * xhat(c, count)};
  });
  const A offset = total[0] / static_cast<A>(columns), slope = total[1] / static_cast<A>(columns);
  for_vectors<A>(0, columns, [&](int64_t c, int count) {
    const Vec<A> g = load(dy + c, count) * load(gamma + c, count);
    const Vec<A> own = rstd * (g - offset - xhat(c, count) * slope);
    store(dx + c, added ? own + load(added + c, count) : own, count);
  });
}

}  // namespace

void layer_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps) {
  dispatch_floating(x.dtype(), "layer_norm", [&]<class T>() {
    using A = Accumulate<T>;
    const int64_t C = x.size(-1);
    const A *scale = gamma.data<A>(), *shift = beta.data<A>();
    parallel_for(x.shape().outer(-1), grain_for(C), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = x.data<T>() + r * C;
        T* out = y.data<T>() + r * C;
        const RowStatistics<T> s(row, C, eps);
        for_vectors<A>(0, C, [&](int64_t c, int count) {
          store(out + c,
                (load(row + c, count) - s.mean) * s.rstd * load(scale + c, count) +
                    load(shift + c, count),
                count);
        });
        mean.data<A>()[r] = s.mean;
        rstd.data<A>()[r] = s.rstd;
      }
    });
  });
}

void layer_norm_backward(NormGradients& results, const Tensor& dy, const Tensor& added,
                         const NormSaved& tensors, bool) {
  const Tensor &x = tensors.x, &mean = tensors.mean, &rstd = tensors.rstd, &gamma = tensors.gamma;
  Tensor &dx = results.dx, &dgamma = results.dgamma, &dbeta = results.dbeta;
  dispatch_floating(x.dtype(), "layer_norm", [&]<class T>() {
    using A = Accumulate<T>;
    const RowBlocks blocks = blocks_of_batch(x.shape().outer(-1), x.size(-1));
    const int64_t C = blocks.columns;
    std::vector<A> sums(static_cast<size_t>(2 * C * blocks.count()), A(0));
    blocks.each([&](int64_t b, int64_t first, int64_t rows) {
      for (int64_t r = first; r < first + rows; ++r)
        backward_row<T>(dx.defined() ? dx.data<T>() + r * C : nullptr, sums.data() + 2 * b * C,
                        dy.data<T>() + r * C, added.defined() ? added.data<T>() + r * C : nullptr,
                        x.data<T>() + r * C, gamma.data<A>(), mean.data<A>()[r], rstd.data<A>()[r],
                        C);
    });
    const std::vector<double> totals = blocks.joined(sums, 2 * C);
    const std::vector<A> total = join_batch<A>(
        blocks.samples, 2 * C, [&](int64_t part, int64_t i) { return totals[part * 2 * C + i]; });
    std::copy_n(total.begin(), C, dgamma.data<A>());
    std::copy_n(total.begin() + C, C, dbeta.data<A>());
  });
}

LEVEL_END
