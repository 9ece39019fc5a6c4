// Rows and elements by index and the adjoints: of each pair, either is the other's gradient.
#include "tensor/ops/gather.h"

#include "tensor/ops/gather_kernels.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

void check_index_tensor(const char* op, const Tensor& indices) {
  CHECK(indices.dtype() == DType::i32, op, ": indices must be i32, not ", indices);
}

void check_index_tensor(const char* op, const Tensor& x, const Tensor& indices) {
  check_index_tensor(op, indices);
  CHECK(indices.device() == x.device(), op, ": devices differ: indices are ", indices, ", x is ",
        x);
}

struct Gather {
  static constexpr auto name = "gather";
  static constexpr auto saves = Save::none;
  Tensor indices;
  Attributes attributes() const { return {{"indices", {}, indices}}; }
  Tensor forward(const Tensor& x) const {
    Shape shape = indices.shape();
    for (int d = 1; d < x.rank(); ++d) shape.push_back(x.size(d));
    Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    DISPATCH(x.device(), gather, y, x, indices);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {scatter_add(dy, indices, s.edge(0).shape[0])};
  }
};

struct ScatterAdd {
  static constexpr auto name = "scatter_add";
  static constexpr auto saves = Save::none;
  Tensor indices;
  int64_t rows;
  Tensor forward(const Tensor& x) const {
    Shape shape{rows};
    for (int d = indices.rank(); d < x.rank(); ++d) shape.push_back(x.size(d));
    Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    DISPATCH(x.device(), scatter_add, y, x, indices);
    return y;
  }
  Grads backward(const Saved&, const Tensor& dy) const { return {gather(dy, indices)}; }
};

AlongShape along_shape(const Shape& indices, int dim, int64_t size) {
  return {indices.outer(dim), size, indices[dim], indices.inner(dim)};
}

struct TakeAlong {
  static constexpr auto name = "take_along";
  static constexpr auto saves = Save::none;
  Tensor indices;
  int dim;
  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(indices.shape(), x.dtype(), x.device());
    const AlongShape shape = along_shape(indices.shape(), dim, x.size(dim));
    DISPATCH(x.device(), take_along, y, x, indices, shape);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {add_along(dy, indices, dim, s.edge(0).shape[dim])};
  }
};

struct AddAlong {
  static constexpr auto name = "add_along";
  static constexpr auto saves = Save::none;
  Tensor indices;
  int dim;
  int64_t size;
  Tensor forward(const Tensor& x) const {
    if (x.dtype() == DType::bf16)  // each sum is rounded once
      return cast(forward(cast(x, DType::f32)), DType::bf16);
    Tensor y = Tensor::empty(indices.shape().with(dim, size), x.dtype(), x.device());
    DISPATCH(x.device(), add_along, y, x, indices, along_shape(indices.shape(), dim, size));
    return y;
  }
  Grads backward(const Saved&, const Tensor& dy) const { return {take_along(dy, indices, dim)}; }
};

}  // namespace

Tensor gather(const Tensor& x, const Tensor& indices, int dim) {
  CHECK(x.rank() >= 1, "gather: ", x, " has no rows");
  check_index_tensor("gather", x, indices);
  DISPATCH(indices.device(), check_indices, "gather", indices, x.size(dim));
  const int at = x.shape().wrap(dim);
  if (at == 0) return apply(Gather{indices}, x);
  const int64_t outer = x.shape().outer(at), inner = x.shape().inner(at), count = indices.numel();
  const Tensor rows = transpose(reshape(x, Shape{outer, x.size(at), inner}), 0, 1);
  const Tensor taken =
      apply(Gather{reshape(indices, Shape{count})}, rows);  // (count, outer, inner)
  Shape shape;
  for (int d = 0; d < at; ++d) shape.push_back(x.size(d));
  for (const int64_t size : indices.shape()) shape.push_back(size);
  for (int d = at + 1; d < x.rank(); ++d) shape.push_back(x.size(d));
  return reshape(transpose(taken, 0, 1), shape);
}

Tensor take_along(const Tensor& x, const Tensor& indices, int dim) {
  check_index_tensor("take_along", x, indices);
  const int at = x.shape().wrap(dim);
  CHECK(indices.rank() == x.rank() && indices.shape().with(at, 1) == x.shape().with(at, 1),
        "take_along: indices ", indices, " and x ", x,
        " must have the same sizes but along dimension ", dim);
  DISPATCH(indices.device(), check_indices, "take_along", indices, x.size(at));
  return apply(TakeAlong{indices, at}, x);
}

Tensor add_along(const Tensor& x, const Tensor& indices, int dim, int64_t size) {
  check_index_tensor("add_along", x, indices);
  CHECK(indices.shape() == x.shape(), "add_along: indices ", indices, " and x ", x,
        " must have the same shape");
  CHECK(is_floating(x.dtype()) && size >= 0,
        "add_along: takes f32, bf16 or f64 and a size of 0 or ", "more, not ", x, " and ", size);
  DISPATCH(indices.device(), check_indices, "add_along", indices, size);
  return apply(AddAlong{indices, x.shape().wrap(dim), size}, x);
}

Tensor scatter_add(const Tensor& x, const Tensor& indices, int64_t rows) {
  check_index_tensor("scatter_add", x, indices);
  CHECK(x.rank() >= indices.rank(), "scatter_add: ", x, " has fewer dimensions than its indices ",
        indices);
  for (int d = 0; d < indices.rank(); ++d)
    CHECK(x.size(d) == indices.size(d), "scatter_add: ", x,
          " does not begin with the shape of its indices ", indices);
  DISPATCH(indices.device(), check_indices, "scatter_add", indices, rows);
  return apply(ScatterAdd{indices, rows}, x);
}

Tensor one_hot(const Tensor& labels, int64_t classes, DType dtype) {
  check_index_tensor("one_hot", labels);
  CHECK(is_floating(dtype), "one_hot: makes floating-point tensors, not ", name_of(dtype));
  DISPATCH(labels.device(), check_indices, "one_hot", labels, classes);
  Tensor y = Tensor::empty(labels.shape().inserted(-1, classes), dtype, labels.device());
  DISPATCH(labels.device(), one_hot, y, labels);
  return y;
}

}  // namespace passband
