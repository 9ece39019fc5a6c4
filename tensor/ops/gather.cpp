// Rows by index and the adjoint: each is the other's gradient.
#include "tensor/ops/gather.h"

#include "tensor/ops/gather_kernels.h"

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
  Tensor forward(const Tensor& x) const {
    Shape shape = indices.shape();
    for (int d = 1; d < x.rank(); ++d) shape.push_back(x.size(d));
    const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
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
    const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    DISPATCH(x.device(), scatter_add, y, x, indices);
    return y;
  }
  Grads backward(const Saved&, const Tensor& dy) const { return {gather(dy, indices)}; }
};

}  // namespace

Tensor gather(const Tensor& x, const Tensor& indices) {
  CHECK(x.rank() >= 1, "gather: ", x, " has no rows");
  check_index_tensor("gather", x, indices);
  DISPATCH(indices.device(), check_indices, "gather", indices, x.size(0));
  return apply(Gather{indices}, x);
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
  const Tensor y = Tensor::empty(labels.shape().inserted(-1, classes), dtype, labels.device());
  DISPATCH(labels.device(), one_hot, y, labels);
  return y;
}

}  // namespace passband
