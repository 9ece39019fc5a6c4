// oneDNN as the CPU kernels use it: primitives are made once per shape, scratch memory comes from
// the caching allocator, and weights are packed into a primitive's own layout at most once per
// version.
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
// This CPU computes bf16 products (AVX-512 or better); without it the kernels compute them in f32.
bool has_bf16();

// Which operation, and every number that shapes its primitive. The thread count is added by
// `plan_for`.
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

// A compiled primitive and the memory layouts it was compiled for. `own` describes a tensor as this
// library stores it, `weights` the layout the primitive asks for; `reorder` converts between them
// when they differ.
struct Plan {
  dnnl::primitive primitive;
  dnnl::memory::desc source, own, weights, destination, bias;
  dnnl::memory::desc scratchpad;
  dnnl::primitive reorder;
  dnnl::memory::desc reorder_scratchpad;
};
using PlanRef = std::shared_ptr<const Plan>;

// The plan of `key`, made by `make` on first use. Throws Error naming `operation` when oneDNN has
// no such primitive.
PlanRef plan_for(const char* operation, Key key, const std::function<Plan()>& make);

// Attributes every primitive is made with: the caller owns the scratchpad.
dnnl::primitive_attr attributes();
// Fills plan.reorder with the conversion `from` -> `to`, unless they are the same.
void add_reorder(Plan& plan, const dnnl::memory::desc& from, const dnnl::memory::desc& to);

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

// `weights` in the layout plan.weights: the tensor itself when that is plan.own, else a packed
// copy. The copy is kept until the tensor's version moves or its storage dies, so evaluation packs
// once and training once per step.
Tensor packed(const Plan& plan, const Tensor& weights);
// Uninitialised memory for a tensor laid out as `layout`.
Tensor memory_for(const dnnl::memory::desc& layout);

}  // namespace passband::cpu::onednn
