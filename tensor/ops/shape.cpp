// Operations that move elements: each comes with its adjoint, so every order of derivative is one
// of them again.
#include "tensor/ops/shape.h"

#include <numeric>

#include "tensor/ops/pointwise.h"
#include "tensor/ops/pointwise_kernels.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_kernels.h"

namespace passband {
namespace {

struct Reshape {
  static constexpr auto name = "reshape";
  static constexpr auto saves = Save::none;
  Shape shape;
  Tensor forward(const Tensor& x) const { return x.viewed_as(shape); }
  Grads backward(const Saved& s, const Tensor& dy) const { return {reshape(dy, s.edge(0).shape)}; }
};

// Loops of `y[i] = x[i permuted]`; dimensions of y that are neighbours in x too become one loop.
Permutation permutation_loops(const Shape& x, const std::vector<int>& order) {
  Permutation p;
  for (const int dim : order) {
    const int64_t size = x[dim], stride = x.inner(dim);
    if (size == 1) continue;
    const auto last = static_cast<size_t>(p.rank - 1);
    if (p.rank > 0 && p.stride[last] == stride * size) {
      p.size[last] *= size;
      p.stride[last] = stride;
    } else {
      p.size[static_cast<size_t>(p.rank)] = size;
      p.stride[static_cast<size_t>(p.rank++)] = stride;
    }
  }
  if (p.rank == 0) p.size[static_cast<size_t>(p.rank++)] = 1;
  return p;
}

struct Permute {
  static constexpr auto name = "permute";
  static constexpr auto saves = Save::none;
  std::vector<int> order;
  Attributes attributes() const { return {{"order", {order.begin(), order.end()}}}; }
  Tensor forward(const Tensor& x) const {
    Shape shape;
    for (const int dim : order) shape.push_back(x.size(dim));
    const Permutation loops = permutation_loops(x.shape(), order);
    if (loops.rank == 1) return x.viewed_as(shape);  // nothing moves
    Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    DISPATCH(x.device(), permute, y, x, loops);
    return y;
  }
  Grads backward(const Saved&, const Tensor& dy) const {
    std::vector<int> inverse(order.size());
    for (size_t d = 0; d < order.size(); ++d)
      inverse[static_cast<size_t>(order[d])] = static_cast<int>(d);
    return {permute(dy, inverse)};
  }
};

// Where elements lie along `dim`.
Attributes attributes_along(int dim, int64_t start, int64_t step) {
  return {{"dim", {static_cast<double>(dim)}},
          {"start", {static_cast<double>(start)}},
          {"step", {static_cast<double>(step)}}};
}

// Zeros, `size` of them along `dim`, but for x at start, start + step, ...
struct Pad {
  static constexpr auto name = "pad";
  static constexpr auto saves = Save::none;
  int dim;
  int64_t size, start, step = 1;
  Attributes attributes() const { return attributes_along(dim, start, step); }
  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape().with(dim, size), x.dtype(), x.device());
    DISPATCH(x.device(), clear, y);
    const CopyRange range{.dim = dim, .to = start, .length = x.size(dim), .to_step = step};
    DISPATCH(x.device(), copy_range, y, x, range);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {slice(dy, dim, start, s.edge(0).shape[dim], step)};
  }
};

struct Slice {
  static constexpr auto name = "slice";
  static constexpr auto saves = Save::none;
  int dim;
  int64_t start, length, step;
  Attributes attributes() const { return attributes_along(dim, start, step); }
  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape().with(dim, length), x.dtype(), x.device());
    const CopyRange range{.dim = dim, .from = start, .length = length, .from_step = step};
    DISPATCH(x.device(), copy_range, y, x, range);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    return {apply(Pad{dim, s.edge(0).shape[dim], start, step}, dy)};
  }
};

struct Concat {
  static constexpr auto name = "concat";
  static constexpr auto saves = Save::none;
  int dim;
  size_t count;
  Attributes attributes() const { return {{"dim", {static_cast<double>(dim)}}}; }
  Tensor forward(const std::vector<Tensor>& parts) const {
    int64_t total = 0;
    for (const Tensor& part : parts) total += part.size(dim);
    Tensor y =
        Tensor::empty(parts[0].shape().with(dim, total), parts[0].dtype(), parts[0].device());
    int64_t at = 0;
    for (const Tensor& part : parts) {
      DISPATCH(y.device(), copy_range, y, part, CopyRange{dim, 0, at, part.size(dim)});
      at += part.size(dim);
    }
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy) const {
    Grads grads(count);
    int64_t at = 0;
    for (size_t i = 0; i < count; ++i) {
      const int64_t length = s.edge(i).shape[dim];
      if (s.needs(i)) grads[i] = slice(dy, dim, at, length);
      at += length;
    }
    return grads;
  }
};

struct Roll {
  static constexpr auto name = "roll";
  static constexpr auto saves = Save::none;
  int dim;
  int64_t shift;  // in [0, size)
  Attributes attributes() const {
    return {{"dim", {static_cast<double>(dim)}}, {"shift", {static_cast<double>(shift)}}};
  }
  Tensor forward(const Tensor& x) const {
    const int64_t size = x.size(dim);
    Tensor y = Tensor::empty_like(x);
    DISPATCH(x.device(), copy_range, y, x, CopyRange{dim, 0, shift, size - shift});
    DISPATCH(x.device(), copy_range, y, x, CopyRange{dim, size - shift, 0, shift});
    return y;
  }
  Grads backward(const Saved&, const Tensor& dy) const { return {roll(dy, dim, -shift)}; }
};

struct Cast {
  static constexpr auto name = "cast";
  static constexpr auto saves = Save::none;
  static constexpr bool passes_parts = true;
  DType dtype;
  Tensor made;  // the result, if somebody has it
  Tensor forward(const Tensor& x) const {
    if (made) return made;
    Tensor y = Tensor::empty(x.shape(), dtype, x.device());
    DISPATCH(x.device(), convert, y, x);
    return y;
  }
  // Memory that is f32 adds a bf16 gradient as it is, which saves a pass (add_all_), and parts.
  Grads backward(const Saved& s, const Tensor& dy) const {
    if (is_in_parts(dy, s.edge(0).shape)) return {dy};
    const auto* leaf = dynamic_cast<const Leaf*>(s.edge(0).node.get());
    const bool added_so = leaf && leaf->bound && leaf->grad.dtype() == DType::f32 &&
                          dy.dtype() == DType::bf16 && !recording();
    return {added_so ? dy : cast(dy, s.edge(0).dtype)};
  }
};

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return apply(Reshape{shape}, x);
}

Tensor reshape(const Tensor& x, const std::vector<int64_t>& shape) {
  int64_t known = 1;
  int open = -1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != -1) {
      known *= shape[d];
      continue;
    }
    CHECK(open < 0, "reshape: more than one dimension is -1 for ", x);
    open = static_cast<int>(d);
  }
  std::vector<int64_t> sizes = shape;
  if (open >= 0) {
    CHECK(known > 0 && x.numel() % known == 0, "reshape: ", x.numel(), " elements of ", x,
          " do not divide by ", known);
    sizes[static_cast<size_t>(open)] = x.numel() / known;
  }
  return reshape(x, Shape(std::span<const int64_t>(sizes)));
}

Tensor permute(const Tensor& x, const std::vector<int>& order) {
  CHECK(static_cast<int>(order.size()) == x.rank(), "permute: ", order.size(),
        " dimensions given for ", x);
  std::vector<int> wrapped;
  std::array<bool, Shape::kMaxRank> seen{};
  for (const int dim : order) {
    wrapped.push_back(x.shape().wrap(dim));
    bool& mark = seen[static_cast<size_t>(wrapped.back())];
    CHECK(!mark, "permute: dimension ", dim, " is named twice for ", x);
    mark = true;
  }
  if (std::ranges::is_sorted(wrapped)) return x;
  return apply(Permute{wrapped}, x);
}

Tensor transpose(const Tensor& x, int dim0, int dim1) {
  std::vector<int> order(static_cast<size_t>(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<size_t>(x.shape().wrap(dim0))],
            order[static_cast<size_t>(x.shape().wrap(dim1))]);
  return permute(x, order);
}

Tensor concat(const std::vector<Tensor>& parts, int dim) {
  CHECK(!parts.empty(), "concat: no tensors given");
  const Tensor& first = parts[0];
  const int along = first.shape().wrap(dim);
  for (const Tensor& part : parts) {
    CHECK(part.rank() == first.rank() &&
              part.shape().with(along, 1) == first.shape().with(along, 1) &&
              part.dtype() == first.dtype() && part.device() == first.device(),
          "concat: along dimension ", dim, " ", part, " does not fit ", first);
  }
  if (parts.size() == 1) return first;
  return apply_list(Concat{along, parts.size()}, parts);
}

Tensor slice(const Tensor& x, int dim, int64_t start, int64_t length, int64_t step) {
  const int64_t size = x.size(dim);
  CHECK(step != 0, "slice: the step along dimension ", dim, " of ", x, " is 0");
  if (step == 1) {
    CHECK(start >= 0 && length >= 0 && start + length <= size, "slice: elements ", start, " to ",
          start + length, " of dimension ", dim, " are outside ", x);
    if (length == size) return x;
  }
  const int64_t last = start + (length - 1) * step;
  CHECK(
      length >= 0 && (length == 0 || (std::min(start, last) >= 0 && std::max(start, last) < size)),
      "slice: ", length, " elements from ", start, " in steps of ", step, " along dimension ", dim,
      " end at ", last, ", outside ", x);
  return apply(Slice{x.shape().wrap(dim), start, length, step}, x);
}

Tensor flip(const Tensor& x, int dim) {
  return slice(x, dim, std::max<int64_t>(x.size(dim) - 1, 0), x.size(dim), -1);
}

Tensor pad(const Tensor& x, int dim, int64_t before, int64_t after, PadMode mode) {
  CHECK(before >= 0 && after >= 0, "pad: negative padding (", before, ", ", after, ") for ", x,
        "; use slice");
  if (before == 0 && after == 0) return x;
  const int along = x.shape().wrap(dim);
  const int64_t size = x.size(along);
  if (mode == PadMode::zeros) return apply(Pad{along, before + size + after, before}, x);
  const bool reflects = mode == PadMode::reflect;
  CHECK(size > (reflects ? std::max(before, after) : 0),
        "pad: ", reflects ? "reflecting" : "repeating the edge by", " (", before, ", ", after,
        ") elements along dimension ", dim, " needs ",
        reflects ? "more than that many" : "at least one", " in ", x);
  // `count` elements beside the edge at `end`, towards which they lie in direction `side`.
  const auto outside = [&](int64_t count, int64_t end, int64_t side) {
    if (!reflects) return expand(slice(x, along, end, 1), x.shape().with(along, count));
    return slice(x, along, side < 0 ? count : end - 1, count, -1);
  };
  std::vector<Tensor> parts;
  if (before > 0) parts.push_back(outside(before, 0, -1));
  parts.push_back(x);
  if (after > 0) parts.push_back(outside(after, size - 1, 1));
  return concat(parts, along);
}

Tensor roll(const Tensor& x, int dim, int64_t shift) {
  const int64_t size = std::max<int64_t>(x.size(dim), 1), wrapped = (shift % size + size) % size;
  if (wrapped == 0) return x;
  return apply(Roll{x.shape().wrap(dim), wrapped}, x);
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  CHECK(is_floating(dtype) || !x.tracked(), "cast: ", name_of(dtype),
        " has no gradients; detach() ", x, " first");
  return apply(Cast{dtype, {}}, x);
}

Tensor cast_as(const Tensor& x, const Tensor& made) {
  CHECK(made.shape() == x.shape() && is_floating(made.dtype()) && made.device() == x.device(),
        "cast_as: ", made, " can not be ", x, " in another type");
  return apply(Cast{made.dtype(), made}, x);
}

}  // namespace passband
