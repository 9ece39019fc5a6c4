// Reductions: which dimensions go, in what order, and the adjoints.
#include "tensor/ops/reduce.h"

#include "tensor/autograd/batch_sum.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce_kernels.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

using DimSet = std::array<bool, Shape::kMaxRank>;

DimSet dims_to_reduce(const char* op, const Tensor& x, const std::vector<int>& dims) {
  DimSet reduced{};
  if (dims.empty()) std::fill_n(reduced.begin(), x.rank(), true);
  for (const int dim : dims) {
    bool& mark = reduced[static_cast<size_t>(x.shape().wrap(dim))];
    CHECK(!mark, op, ": dimension ", dim, " is named twice for ", x);
    mark = true;
  }
  return reduced;
}

Shape reduced_shape(const Shape& shape, const DimSet& reduced, bool keepdim) {
  Shape result;
  for (int d = 0; d < shape.rank(); ++d) {
    if (!reduced[static_cast<size_t>(d)]) result.push_back(shape[d]);
    else if (keepdim) result.push_back(1);
  }
  return result;
}

struct Run {
  int64_t size;
  bool reduced;
};

// Neighbouring dimensions with the same fate, merged.
std::vector<Run> merged_runs(const Shape& shape, const DimSet& reduced) {
  std::vector<Run> runs;
  for (int d = 0; d < shape.rank(); ++d) {
    const bool goes = reduced[static_cast<size_t>(d)];
    if (shape[d] == 1) continue;
    if (!runs.empty() && runs.back().reduced == goes) runs.back().size *= shape[d];
    else runs.push_back({shape[d], goes});
  }
  return runs;
}

// The innermost reduced run goes first; sums in between are f64.
void sum_runs(const Tensor& y, Tensor x, std::vector<Run> runs, double scale) {
  int left = static_cast<int>(std::ranges::count_if(runs, &Run::reduced));
  if (left == 0) {
    DISPATCH(y.device(), sum, y, x, Reduction{.inner = x.numel()}, scale);
    return;
  }
  for (size_t at = runs.size(); at-- > 0;) {
    if (!runs[at].reduced) continue;
    Reduction r{.n = runs[at].size};
    for (size_t i = 0; i < runs.size(); ++i)
      (i < at ? r.outer : r.inner) *= i == at ? 1 : runs[i].size;
    runs[at].size = 1;
    const bool last = --left == 0;
    const Tensor to = last ? y : Tensor::empty({r.outer, r.inner}, DType::f64, y.device());
    DISPATCH(y.device(), sum, to, x, r, last ? scale : 1.0);
    x = to;
  }
}

struct Sum {
  static constexpr auto name = "sum";
  static constexpr auto saves = Save::none;
  DimSet reduced;
  bool keepdim;
  double scale;

  Attributes attributes() const {
    return {{"reduced", {reduced.begin(), reduced.end()}}, {"scale", {scale}}};
  }
  Tensor forward(const Tensor& x) const {
    if (x.rank() == 0 || !reduced[0] || !batch_parts().cut(x.size(0))) return of(x);
    return sum_over_batch([&](int64_t part) { return of(part_of_batch(x, part)); });
  }
  Tensor of(const Tensor& x) const {
    Tensor y = Tensor::empty(reduced_shape(x.shape(), reduced, keepdim), x.dtype(), x.device());
    sum_runs(y, x, merged_runs(x.shape(), reduced), scale);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor scaled = scale == 1.0 ? dy : mul(dy, scale);
    return {
        expand(reshape(scaled, reduced_shape(s.edge(0).shape, reduced, true)), s.edge(0).shape)};
  }
};

Reduction reduction_along(const Shape& shape, int dim) {
  return {shape.outer(dim), shape[dim], shape.inner(dim)};
}

Tensor put_along(const Tensor& y, const Buffer& index, const Shape& shape, int dim);

struct TakeAlong {
  static constexpr auto name = "max";
  static constexpr auto saves = Save::none;
  Buffer index;
  int dim;
  bool keepdim;

  Tensor forward(const Tensor& x) const {
    const Shape shape = keepdim ? x.shape().with(dim, 1) : x.shape().without(dim);
    Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    DISPATCH(x.device(), pick_along, y, x, index.memory, reduction_along(x.shape(), dim));
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {put_along(dy, index, s.edge(0).shape, dim)};
  }
};

struct PutAlong {
  static constexpr auto name = "max_gradient";
  static constexpr auto saves = Save::none;
  Buffer index;
  Shape shape;
  int dim;

  Tensor forward(const Tensor& y) const {
    Tensor x = Tensor::empty(shape, y.dtype(), y.device());
    DISPATCH(y.device(), put_along, x, y, index.memory, reduction_along(shape, dim));
    return x;
  }
  Grads backward(const Saved& s, const Tensor& dx) const {
    return {apply(TakeAlong{index, dim, s.edge(0).shape.rank() == shape.rank()}, dx)};
  }
};

Tensor put_along(const Tensor& y, const Buffer& index, const Shape& shape, int dim) {
  return apply(PutAlong{index, shape, dim}, y);
}

Tensor argmax_indices(const char* op, const Tensor& x, int dim) {
  CHECK(x.size(dim) > 0, op, ": dimension ", dim, " of ", x, " is empty");
  Tensor index = Tensor::empty(x.shape().without(dim), DType::i32, x.device());
  DISPATCH(x.device(), argmax, index, x, reduction_along(x.shape(), dim));
  return index;
}

struct Expand {
  static constexpr auto name = "expand";
  static constexpr auto saves = Save::none;
  Shape shape;
  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    DISPATCH(x.device(), expand, y, x, broadcast_loops(shape, x.shape(), x.shape()));
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const { return {sum_to(dy, s.edge(0).shape)}; }
};

// Whether `from` stretches to `to`.
bool stretches(const Shape& from, const Shape& to) {
  if (from.rank() > to.rank()) return false;
  for (int d = 1; d <= from.rank(); ++d)
    if (from[-d] != to[-d] && from[-d] != 1) return false;
  return true;
}

}  // namespace

Tensor sum(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  return apply(Sum{dims_to_reduce("sum", x, dims), keepdim, 1.0}, x);
}

Tensor cpu::sum_of_rows(const Tensor& x) { return passband::sum(x, {0}); }

Tensor mean(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  const DimSet reduced = dims_to_reduce("mean", x, dims);
  const int64_t kept = reduced_shape(x.shape(), reduced, false).numel();
  CHECK(x.numel() > 0, "mean: no elements in ", x);
  return apply(Sum{reduced, keepdim, static_cast<double>(kept) / static_cast<double>(x.numel())},
               x);
}

Tensor max(const Tensor& x, int dim, bool keepdim) {
  const Buffer index{argmax_indices("max", x, dim)};
  return apply(TakeAlong{index, x.shape().wrap(dim), keepdim}, x);
}

Tensor min(const Tensor& x, int dim, bool keepdim) {
  CHECK(x.size(dim) > 0, "min: dimension ", dim, " of ", x, " is empty");
  return -max(-x, dim, keepdim);
}

Tensor argmax(const Tensor& x, int dim) {
  return poisoned("argmax", argmax_indices("argmax", x, dim), {x});
}

Tensor argmin(const Tensor& x, int dim) {
  return poisoned("argmin", argmax_indices("argmin", -x.detach(), dim), {x});
}

Tensor prod(const Tensor& x, int dim, bool keepdim) {
  const int along = x.shape().wrap(dim);
  const Shape kept = x.shape().with(along, 1);
  Tensor y = x.size(along) > 0 ? x : add(sum(x, {along}, true), 1);
  while (y.size(along) > 1) {
    const int64_t size = y.size(along), half = size / 2;
    const Tensor pairs = slice(y, along, 0, half) * slice(y, along, half, half);
    y = size % 2 == 0 ? pairs : concat({pairs, slice(y, along, size - 1, 1)}, along);
  }
  return keepdim ? y : reshape(y, kept.without(along));
}

Tensor expand(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  CHECK(stretches(x.shape(), shape), "expand: ", x, " does not stretch to ", shape);
  return apply(Expand{shape}, x);
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  CHECK(stretches(shape, x.shape()), "sum_to: ", shape, " does not stretch to ", x);
  const int lead = x.rank() - shape.rank();
  std::vector<int> dims;
  for (int d = 0; d < x.rank(); ++d)
    if (d < lead || (shape[d - lead] == 1 && x.size(d) != 1)) dims.push_back(d);
  return reshape(sum(x, dims), shape);
}

Shape broadcast_shape(const char* op, const Tensor& a, const Tensor& b) {
  const Shape &left = a.shape(), &right = b.shape();
  Shape shape = left.rank() >= right.rank() ? left : right;
  for (int d = 1; d <= std::min(left.rank(), right.rank()); ++d) {
    CHECK(left[-d] == right[-d] || left[-d] == 1 || right[-d] == 1, op,
          ": shapes do not broadcast: a is ", a, ", b is ", b);
    shape[-d] = left[-d] == 1 ? right[-d] : left[-d];
  }
  return shape;
}

}  // namespace passband
