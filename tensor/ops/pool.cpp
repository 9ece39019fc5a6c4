// Pooling: checks, and linear operations in adjoint pairs. Once the indices are fixed, max pooling
// is one of them.
#include "tensor/ops/pool.h"

#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool_kernels.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/window_attributes.h"

namespace passband {
namespace {

// As PyTorch: with ceil_mode the last window may overhang, but must start inside the image or its
// leading padding.
int64_t windows(int64_t side, int64_t kernel, const WindowAxis& axis, bool ceil_mode) {
  const int64_t whole = axis.windows(side, kernel),
                room = side + axis.before + axis.after - axis.span(kernel);
  const bool overhangs =
      ceil_mode && whole > 0 && room % axis.stride != 0 && whole * axis.stride < side + axis.before;
  return whole + (overhangs ? 1 : 0);
}

Shape output_shape(const Shape& x, const PoolOptions& o) {
  return {x[0], windows(x[1], o.kernel.height, o.rows(), o.ceil_mode),
          windows(x[2], o.kernel.width, o.columns(), o.ceil_mode), x[3]};
}

// The first of `count` windows none of whose cells lies in the image; `count` when there is none.
int64_t first_empty(int64_t count, int64_t side, int64_t kernel, const WindowAxis& axis) {
  for (int64_t i = 0; i < count; ++i) {
    bool found = false;
    for (int64_t cell = 0; cell < kernel && !found; ++cell) {
      const int64_t pixel = i * axis.stride - axis.before + cell * axis.dilation;
      found = pixel >= 0 && pixel < side;
    }
    if (!found) return i;
  }
  return count;
}

const Tensor& checked(const char* op, const Buffer& indices) {
  CHECK(indices.memory.defined(), op,
        ": the graph was released by an earlier backward; pass "
        ".retain_graph = true to the first one");
  return indices.memory;
}

Tensor max_scatter(const Tensor& dy, const Buffer& indices, const Shape& input,
                   const PoolOptions& options);

// y = x[index];   dx = scatter(dy)
struct MaxGather {
  static constexpr auto name = "max_pool2d_gather";
  static constexpr auto saves = Save::none;
  Buffer indices;
  PoolOptions options;

  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(indices.memory.shape(), x.dtype(), x.device());
    DISPATCH(x.device(), max_pool_gather, y, x, indices.memory);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    checked(name, indices);
    return {max_scatter(dy, indices, s.edge(0).shape, options)};
  }
  void release() { indices = {}; }
};

// dx[index] += dy;   ddy = gather(g)
struct MaxScatter {
  static constexpr auto name = "max_pool2d_scatter";
  static constexpr auto saves = Save::none;
  Buffer indices;
  PoolOptions options;
  Shape input;

  Tensor forward(const Tensor& dy) const {
    Tensor dx = Tensor::empty(input, dy.dtype(), dy.device());
    DISPATCH(dy.device(), max_pool_scatter, dx, dy, indices.memory, options);
    return dx;
  }
  Grads backward(const Saved&, const Tensor& g) const {
    checked(name, indices);
    return {apply(MaxGather{indices, options}, g)};
  }
  void release() { indices = {}; }
};

Tensor max_scatter(const Tensor& dy, const Buffer& indices, const Shape& input,
                   const PoolOptions& options) {
  return apply(MaxScatter{indices, options, input}, dy);
}

Attributes attributes_of_pool(const PoolOptions& options) {
  return {{"kernel", numbers(options.kernel)},
          {"stride", numbers(options.stride)},
          {"padding", numbers(options.padding)},
          {"dilation", numbers(options.dilation)},
          {"ceil_mode", {options.ceil_mode ? 1.0 : 0.0}},
          {"count_include_pad", {options.count_include_pad ? 1.0 : 0.0}}};
}

// y = max over the window;   dx = dy at the first maximum
struct MaxPool {
  static constexpr auto name = "max_pool2d";
  static constexpr auto saves = Save::none;
  PoolOptions options;
  Buffer indices = {};

  Attributes attributes() const { return attributes_of_pool(options); }
  Tensor forward(const Tensor& x) {
    Tensor y = Tensor::empty(output_shape(x.shape(), options), x.dtype(), x.device());
    indices.memory = Tensor::empty(y.shape(), DType::i32, x.device());
    DISPATCH(x.device(), max_pool_forward, y, indices.memory, x, options);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    checked(name, indices);
    return {max_scatter(dy, indices, s.edge(0).shape, options)};
  }
  void release() { indices = {}; }
};

// y = mean over the window;   dx = sum over the windows that hold the pixel of dy / count. Each is
// the other's adjoint.
struct AvgPoolAdjoint {
  static constexpr auto name = "avg_pool2d_adjoint";
  static constexpr auto saves = Save::none;
  PoolOptions options;
  Shape input;

  Tensor forward(const Tensor& dy) const {
    Tensor dx = Tensor::empty(input, dy.dtype(), dy.device());
    DISPATCH(dy.device(), avg_pool_backward, dx, dy, options);
    return dx;
  }
  Grads backward(const Saved&, const Tensor& g) const { return {avg_pool2d(g, options)}; }
};

struct AvgPool {
  static constexpr auto name = "avg_pool2d";
  static constexpr auto saves = Save::none;
  PoolOptions options;

  Attributes attributes() const { return attributes_of_pool(options); }
  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(output_shape(x.shape(), options), x.dtype(), x.device());
    DISPATCH(x.device(), avg_pool_forward, y, x, options);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {apply(AvgPoolAdjoint{options, s.edge(0).shape}, dy)};
  }
};

// y = mean over H, W;   dx = dy / (H W) everywhere
struct GlobalAvgPool {
  static constexpr auto name = "global_avg_pool";
  static constexpr auto saves = Save::none;

  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty({x.size(0), x.size(3)}, x.dtype(), x.device());
    DISPATCH(x.device(), global_avg_pool_forward, y, x);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Shape& x = s.edge(0).shape;
    return {expand(reshape(dy / static_cast<double>(x[1] * x[2]), Shape{x[0], 1, 1, x[3]}), x)};
  }
};

void check_input(const char* op, const Tensor& x) {
  CHECK(x.defined() && x.rank() == 4, op, ": x is (N, H, W, C), not ", x);
  CHECK(is_floating(x.dtype()), op, ": takes f32, bf16 or f64, not ", x);
}

void check(const char* op, const Tensor& x, const PoolOptions& o) {
  check_input(op, x);
  CHECK(o.kernel.least() >= 1 && o.stride.least() >= 1 && o.dilation.least() >= 1, op, ": kernel ",
        o.kernel, ", stride ", o.stride, " and dilation ", o.dilation, " must be at least 1");
  CHECK(o.padding.least() >= 0, op, ": padding ", o.padding, " must be at least 0");
  const Shape y = output_shape(x.shape(), o);
  CHECK(y[1] >= 1 && y[2] >= 1, op, ": a window of ", o.kernel, " does not fit into ", x,
        " with padding ", o.padding);
  CHECK(first_empty(y[1], x.size(1), o.kernel.height, o.rows()) == y[1] &&
            first_empty(y[2], x.size(2), o.kernel.width, o.columns()) == y[2],
        op, ": with padding ", o.padding, " a window of ", o.kernel, " on ", x,
        " holds no pixel; pad by less than the kernel");
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const PoolOptions& options) {
  check("max_pool2d", x, options);
  return apply(MaxPool{options}, x);
}

Tensor avg_pool2d(const Tensor& x, const PoolOptions& options) {
  check("avg_pool2d", x, options);
  CHECK(options.dilation.height == 1 && options.dilation.width == 1,
        "avg_pool2d: windows have no dilation, not ", options.dilation);
  return apply(AvgPool{options}, x);
}

Tensor global_avg_pool(const Tensor& x) {
  check_input("global_avg_pool", x);
  CHECK(x.size(1) >= 1 && x.size(2) >= 1, "global_avg_pool: ", x, " has no pixels");
  return apply(GlobalAvgPool{}, x);
}

}  // namespace passband
