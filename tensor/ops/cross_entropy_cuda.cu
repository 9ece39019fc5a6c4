// CUDA cross-entropy: one pass over the logits makes the loss of each row and the gradient.
//
// Bound by launches: 512 rows of 10 logits are 10 KB in bf16. One kernel for the rows, one for
// their mean, one in backward that multiplies by dloss. A warp takes a row; its second and third
// look at it hit the first-level cache.
// Considered: the gradient in backward, from saved logits: a launch that does the exponentials
// again.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/cross_entropy_kernels.h"
#include "tensor/ops/pointwise_math.h"
#include "tensor/ops/reduce_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = kThreads / 32;  // of a block

// t = on_label at the label + everywhere. A label outside, which check_indices reports, matches
// nothing.
template <class T> struct HardTargets {
  const int32_t* labels;
  Accumulate<T> on_label, everywhere;
  __device__ Accumulate<T> operator()(int64_t row, int64_t k, int64_t) const {
    return labels[row] == k ? on_label + everywhere : everywhere;
  }
};

// As HardTargets with class weights and a label that is ignored. A class without a weight, or a
// label outside, has none.
template <class T> struct WeightedTargets {
  const int32_t* labels;
  const Accumulate<T>* weights;  // may be null
  Accumulate<T> on_label, everywhere;
  bool ignores;
  int32_t ignored;
  __device__ Accumulate<T> operator()(int64_t row, int64_t k, int64_t) const {
    const int32_t label = labels[row];
    if (ignores && label == ignored) return 0;
    const Accumulate<T> target = label == k ? on_label + everywhere : everywhere;
    return weights ? target * weights[k] : target;
  }
};

template <class T> struct SoftTargets {
  const T* targets;
  __device__ Accumulate<T> operator()(int64_t row, int64_t k, int64_t n) const {
    return static_cast<Accumulate<T>>(targets[row * n + k]);
  }
};

// terms[row] = -sum_k t_k log p_k / divisor;  gradient = (p * sum_k t_k - t) * scale / divisor,
// unless it is null. A null divisor is 1. A row without targets has a gradient of 0 also where the
// divisor is 0.
template <class T, class Targets> __global__ void __launch_bounds__(kThreads)
    loss_rows_kernel(double* terms, T* gradient, const T* logits, Targets targets, int64_t rows,
                     int64_t n, double scale, const double* divisor) {
  using A = Accumulate<T>;
  const int64_t row = int64_t{blockIdx.x} * kRows + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (row >= rows) return;  // whole warps return together
  const T* z = logits + row * n;
  A best = -static_cast<A>(INFINITY), total = 0, mass = 0, term = 0;
  for (int64_t k = lane; k < n; k += 32) best = max(best, static_cast<A>(z[k]));
  best = warp_max(best);
  for (int64_t k = lane; k < n; k += 32) total += math::exp(static_cast<A>(z[k]) - best);
  const A log_total = std::log(warp_sum(total));
  for (int64_t k = lane; k < n; k += 32) {
    const A t = targets(row, k, n);
    mass += t;
    // A class of probability 0 that is no target adds nothing.
    if (t != A(0)) term -= t * (static_cast<A>(z[k]) - best - log_total);
  }
  term = warp_sum(term);
  if (lane == 0)
    terms[row] = divisor ? static_cast<double>(term) / *divisor : static_cast<double>(term);
  if (!gradient) return;
  mass = warp_sum(mass);
  const A factor = mass == A(0) ? A(0) : static_cast<A>(divisor ? scale / *divisor : scale);
  for (int64_t k = lane; k < n; k += 32) {
    const A p = math::exp(static_cast<A>(z[k]) - best - log_total);
    gradient[row * n + k] = static_cast<T>((p * mass - targets(row, k, n)) * factor);
  }
}

template <class T, class Targets> void row_losses(Tensor terms, Tensor gradient,
                                                  const Tensor& logits, const Targets& targets,
                                                  double scale, const Tensor& divisor) {
  const int64_t rows = logits.size(0), n = logits.size(1);
  launch({.grid = blocks_for(rows, kRows), .block = kThreads, .stream = compute_stream()},
         loss_rows_kernel<T, Targets>, terms.data<double>(),
         gradient ? gradient.data<T>() : nullptr, logits.data<T>(), targets, rows, n, scale,
         divisor ? divisor.data<double>() : nullptr);
}

template <class T, class Targets>
void mean_loss(Tensor loss, Tensor gradient, const Tensor& logits, const Targets& targets) {
  const int64_t rows = logits.size(0);
  const double scale = 1.0 / static_cast<double>(rows);
  Tensor terms = Tensor::empty({rows}, DType::f64, logits.device());
  row_losses<T>(terms, gradient, logits, targets, scale, {});
  sum(loss, terms, {.n = rows}, scale);
}

template <class A> __global__ void __launch_bounds__(kThreads)
    label_weights_kernel(double* of_row, int32_t* counted, const int32_t* labels, const A* weights,
                         bool ignores, int32_t ignored, int64_t rows, int64_t classes) {
  const int64_t row = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (row >= rows) return;
  const int32_t label = labels[row];
  const bool counts = !ignores || label != ignored;
  counted[row] = counts ? label : 0;
  const bool weighed = counts && weights && label >= 0 && label < classes;
  of_row[row] = weighed ? static_cast<double>(weights[label]) : counts ? 1.0 : 0.0;
}

template <class T> __global__ void __launch_bounds__(kThreads)
    scale_gradient_kernel(T* dlogits, const T* gradient, const Accumulate<T>* dloss, int64_t n,
                          Divisor shared) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n)
    dlogits[i] =
        static_cast<T>(static_cast<Accumulate<T>>(gradient[i]) * dloss[shared.quotient(i)]);
}

}  // namespace

void cross_entropy(Tensor loss, Tensor gradient, const Tensor& logits, const Tensor& labels,
                   double smoothing) {
  dispatch_floating(logits.dtype(), "cross_entropy", [&]<class T>() {
    using A = Accumulate<T>;
    const A everywhere = static_cast<A>(smoothing / static_cast<double>(logits.size(1)));
    mean_loss<T>(loss, gradient, logits,
                 HardTargets<T>{labels.data<int32_t>(), static_cast<A>(1 - smoothing), everywhere});
  });
}

void soft_cross_entropy(Tensor loss, Tensor gradient, const Tensor& logits, const Tensor& targets) {
  dispatch_floating(logits.dtype(), "soft_cross_entropy", [&]<class T>() {
    mean_loss<T>(loss, gradient, logits, SoftTargets<T>{targets.data<T>()});
  });
}

void label_losses(Tensor losses, Tensor gradient, const Tensor& logits, const Tensor& labels,
                  const LabelTargets& targets, const Tensor& divisor) {
  const double n = static_cast<double>(logits.size(1));
  dispatch_floating(logits.dtype(), "cross_entropy", [&]<class T>() {
    using A = Accumulate<T>;
    const WeightedTargets<T> weighted{labels.data<int32_t>(),
                                      targets.weights ? targets.weights.data<A>() : nullptr,
                                      static_cast<A>(1 - targets.smoothing),
                                      static_cast<A>(targets.smoothing / n),
                                      targets.ignored.has_value(),
                                      targets.ignored.value_or(0)};
    row_losses<T>(losses, gradient, logits, weighted, 1.0, divisor);
  });
}

void label_weights(Tensor weights, Tensor counted, const Tensor& labels,
                   const LabelTargets& targets, int64_t classes) {
  const auto weigh = [&]<class A>(const A* of_class) {
    launch({.grid = blocks_for(labels.numel(), kThreads),
            .block = kThreads,
            .stream = compute_stream()},
           label_weights_kernel<A>, weights.data<double>(), counted.data<int32_t>(),
           labels.data<int32_t>(), of_class, targets.ignored.has_value(),
           targets.ignored.value_or(0), labels.numel(), classes);
  };
  if (!targets.weights) weigh(static_cast<const float*>(nullptr));
  else if (targets.weights.dtype() == DType::f64) weigh(targets.weights.data<double>());
  else weigh(targets.weights.data<float>());
}

void scale_gradient(Tensor dlogits, const Tensor& gradient, const Tensor& dloss) {
  dispatch_floating(gradient.dtype(), "cross_entropy", [&]<class T>() {
    launch({.grid = blocks_for(gradient.numel(), kThreads),
            .block = kThreads,
            .stream = compute_stream()},
           scale_gradient_kernel<T>, dlogits.data<T>(), gradient.data<T>(),
           dloss.data<Accumulate<T>>(), gradient.numel(),
           Divisor(gradient.numel() / dloss.numel()));
  });
}

}  // namespace passband::cuda
