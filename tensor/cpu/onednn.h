// oneDNN as the CPU kernels use it: primitives are made once per shape, scratch memory comes from
// the caching allocator, and weights are packed into a primitive's own layout at most once per
// version. A primitive runs on one thread, as it would else cut its sums by the number of threads;
// kernels cut the work by its shape and run the pieces in parallel (pieces.h).
#pragma once
#include <array>
#include <functional>
#include <initializer_list>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>

#include "tensor/core/tensor.h"

namespace passband::cpu::onednn {

dnnl::engine& engine();
dnnl::memory::data_type type_of(DType dtype);

// Which operation, and every number that shapes its primitive.
class Key {
 public:
  explicit Key(int64_t operation) { add(operation); }
  Key& add(int64_t value);
  Key& add(const Shape& shape);
  size_t hash() const;
  friend bool operator==(const Key&, const Key&) = default;

 private:
  static constexpr size_t kCapacity = 40;
  std::array<int64_t, kCapacity> values_{};
  size_t used_ = 0;
};

// A conversion between two layouts of one tensor; none where they are the same.
struct Reorder {
  dnnl::memory::desc from, to;
  dnnl::primitive primitive;
  dnnl::memory::desc scratchpad;

  Reorder() = default;
  Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);
  bool needed() const { return static_cast<bool>(primitive); }
  void operator()(const Tensor& result, const Tensor& x) const;
  // x in the layout `to`: x itself, or a copy.
  Tensor operator()(const Tensor& x) const;
  // Memory for a tensor laid out as `from`, to be converted into `result`: `result` itself if that
  // is its layout.
  Tensor memory_before(const Tensor& result) const;
};

// A compiled primitive and the memory layouts it was compiled for. `weights` converts between the
// layout of this library and the primitive's; `x` and `y` do so for activations.
struct Plan {
  dnnl::primitive primitive;
  dnnl::memory::desc source, destination, bias;
  dnnl::memory::desc scratchpad;
  Reorder weights, x, y;
};
using PlanRef = std::shared_ptr<const Plan>;

// The plan of `key`, made by `make` on first use. Throws Error naming `operation` when oneDNN has
// no such primitive.
PlanRef plan_for(const char* operation, const Key& key, const std::function<Plan()>& make);

// Attributes every primitive is made with: the caller owns the scratchpad.
dnnl::primitive_attr attributes();

// oneDNN 2 makes a primitive's descriptor from a description, oneDNN 3 from all it is to hold.
template <class Primitive, class... Description>
typename Primitive::primitive_desc describe(const dnnl::primitive_attr& attr,
                                            const Description&... description) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), description..., attr};
#else
  return {typename Primitive::desc(description...), attr, engine()};
#endif
}
template <class Primitive, class... Description>
typename Primitive::primitive_desc describe_gradient(
    const dnnl::convolution_forward::primitive_desc& forward, const Description&... description) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), description..., forward, attributes()};
#else
  return {typename Primitive::desc(description...), attributes(), engine(), forward};
#endif
}

struct Argument {
  int name;  // DNNL_ARG_*
  const dnnl::memory::desc& layout;
  const void* data;  // null: the argument is left out
};

void execute(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
             std::initializer_list<Argument> arguments);
inline void execute(const Plan& plan, std::initializer_list<Argument> arguments) {
  execute(plan.primitive, plan.scratchpad, arguments);
}

// `x` in the layout `reorder.to`: the tensor itself, or a packed copy. The copy is kept until the
// tensor's version moves or its storage dies, so evaluation packs weights once and training once
// per step, and both gradients of a convolution share one copy of dy.
Tensor packed(const Reorder& reorder, const Tensor& x);
// Uninitialised memory for a tensor laid out as `layout`.
Tensor memory_for(const dnnl::memory::desc& layout);

}  // namespace passband::cpu::onednn
