// The graph: a Node is one recorded operation; its edges lead to the nodes that made its inputs.
// An operation is a struct with `name`, `saves`, `forward` and `backward`; `apply` runs and records
// it:
//
//   // sigmoid(x) = 1 / (1 + e^-x);   dx = dy * y * (1 - y)
//   struct Sigmoid {
//     static constexpr auto name = "sigmoid";
//     static constexpr auto saves = Save::output;
//     Tensor forward(const Tensor& x) { return map<fn::Sigmoid>(x); }
//     Grads backward(const Saved& s, const Tensor& dy) const {
//       const Tensor y = s.output();
//       return {dy * y * (1 - y)};
//     }
//   };
//   Tensor sigmoid(const Tensor& x) { return apply(Sigmoid{}, x); }
//
// `backward` is tensor algebra, so derivatives of any order are free. A fused backward kernel is a
// short cut for first order: `if (!recording()) return {fused(...)};` beside the composed formula.
#pragma once
#include <array>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "tensor/autograd/trace.h"
#include "tensor/core/tensor.h"

namespace passband {

// One gradient per input, in order; undefined where `saved.needs(i)` is false or the input is not
// differentiable.
using Grads = std::vector<Tensor>;

// True while operations on tracked tensors are recorded. Inside `backward` functions: true only
// when a graph of the gradient was asked for (create_graph).
bool recording();

// Switches recording on or off for a scope (thread local).
class RecordGuard {
 public:
  explicit RecordGuard(bool on);
  ~RecordGuard();
  RecordGuard(const RecordGuard&) = delete;
  RecordGuard& operator=(const RecordGuard&) = delete;

 private:
  bool restore_;
};

struct NoGrad : RecordGuard {
  NoGrad() : RecordGuard(false) {}
};

enum class Save : uint8_t { none, input, output, both };

struct Edge {
  std::shared_ptr<Node> node;  // null: the input is a constant
  Shape shape;                 // of the input, which is the shape of its gradient
  DType dtype = DType::f32;
};

using GradMap = std::unordered_map<Node*, Tensor>;

// Gradients that other paths have brought to the inputs of a node before its turn. A backward that
// can add one to its own at no cost, as where a shortcut meets the layer it passed by, takes it,
// and returns the sum of both.
class Arrived {
 public:
  Arrived(const std::vector<Edge>& edges, GradMap& sums) : edges_(edges), sums_(sums) {}
  // Undefined if nothing has come to input i yet.
  Tensor take(size_t i);

 private:
  const std::vector<Edge>& edges_;
  GradMap& sums_;
};

class Node : public std::enable_shared_from_this<Node> {
 public:
  virtual ~Node();
  virtual Grads backward(const Tensor& dy, Arrived& arrived) = 0;
  virtual const char* name() const = 0;
  // Whether its gradient may come in parts: with one dimension more, the first, along which the sum
  // is the gradient; in f32.
  virtual bool takes_parts() const { return false; }
  // Drops what was saved for backward. A later backward through this node throws.
  virtual void release_saved() {}
  const std::vector<Edge>& edges() const { return edges_; }

 protected:
  // Moves the references this node holds to other nodes into `out`, so that long graphs are freed
  // without recursion.
  virtual void collect_references(std::vector<std::shared_ptr<Node>>& out);
  void release_references();

  std::vector<Edge> edges_;
};

// A tensor that gradients are asked for. `grad` accumulates over backward() calls.
class Leaf : public Node {
 public:
  Grads backward(const Tensor&, Arrived&) override { return {}; }
  const char* name() const override { return "leaf"; }
  // Memory of its own takes sums as they come, on a GPU (add_all_).
  bool takes_parts() const override {
    return bound && grad.dtype() == DType::f32 && grad.device().is_cuda();
  }
  Tensor grad;
  bool bound = false;  // `grad` is a view of somebody's memory: sums go there in place
};

// What an operation kept. The output is stored without its node (no reference cycle) and
// re-attached on read.
class Saved {
 public:
  // Input i with its place in the graph. Throws if the op does not save inputs, if the graph was
  // released, or if the tensor has been changed in place since the forward pass.
  const Tensor& input(size_t i) const;
  Tensor output() const;
  // Input i was given and somebody needs its gradient.
  bool needs(size_t i) const { return i < needs_.size() && needs_[i]; }
  // Input i needs a gradient, and may be given it in parts (Node::takes_parts).
  bool takes_parts(size_t i) const {
    return needs(i) && !recording() && edge(i).dtype != DType::f64 && edge(i).node->takes_parts();
  }
  // Shape and type of input i, saved or not.
  const Edge& edge(size_t i) const { return self_->edges()[i]; }

 private:
  friend class OperationNode;
  const Tensor& checked(const Tensor& tensor, uint64_t version) const;

  const char* op_ = "";
  Save save_ = Save::none;
  bool released_ = false;
  std::vector<Tensor> inputs_;
  std::vector<uint64_t> input_versions_;
  std::vector<bool> needs_;
  Tensor output_;
  uint64_t output_version_ = 0;
  Node* self_ = nullptr;
};

// What the nodes of all operations have in common.
class OperationNode : public Node {
 public:
  OperationNode(const char* name, Save save, std::span<const Tensor* const> inputs,
                const Tensor& output);
  ~OperationNode() override;
  const char* name() const override { return saved_.op_; }
  void release_saved() override;

 protected:
  void collect_references(std::vector<std::shared_ptr<Node>>& out) override;
  Saved saved_;

 private:
  virtual void release_buffers() {}
  void take_saved_nodes(std::vector<std::shared_ptr<Node>>& out);
};

template <class Op> class OpNode final : public OperationNode {
 public:
  OpNode(Op op, std::span<const Tensor* const> inputs, const Tensor& output)
      : OperationNode(Op::name, Op::saves, inputs, output), op_(std::move(op)) {}

  Grads backward(const Tensor& dy, Arrived& arrived) override {
    if constexpr (requires { op_.backward(saved_, dy, arrived); })
      return op_.backward(saved_, dy, arrived);
    else return op_.backward(saved_, dy);
  }
  // An operation that says `passes_parts` gives its input the parts that come to it.
  bool takes_parts() const override {
    if constexpr (requires { Op::passes_parts; })
      return edges_[0].node && edges_[0].node->takes_parts();
    else return false;
  }

 private:
  void release_buffers() override {
    if constexpr (requires { op_.release(); }) op_.release();
  }

  Op op_;
};

bool any_tracked(std::span<const Tensor* const> tensors);

// Tells those that listen of the operation `op`, and records it when recording is on and an input
// is tracked.
template <class Op> void tell_and_record(Op op, std::span<const Tensor* const> inputs, Tensor& y) {
  if (listening()) tell(Op::name, attributes_of(op), inputs, y);
  if (recording() && any_tracked(inputs))
    y.set_node(std::make_shared<OpNode<Op>>(std::move(op), inputs, y));
}

// Runs `op` on the inputs and records it when recording is on and an input is tracked. Inputs may
// be undefined. `forward` may fill members of the op with Buffers; an op with Buffers has `void
// release()` that drops them.
template <class Op, class... Inputs> Tensor apply(Op op, const Inputs&... inputs) {
  Tensor y;
  {
    NoGrad guard;
    y = op.forward(inputs.detach()...);
  }
  tell_and_record(std::move(op), std::array<const Tensor*, sizeof...(Inputs)>{&inputs...}, y);
  return y;
}

// As `apply`, for a number of inputs that is known at run time: `forward` takes a vector.
template <class Op> Tensor apply_list(Op op, const std::vector<Tensor>& inputs) {
  Tensor y;
  {
    NoGrad guard;
    std::vector<Tensor> plain;
    for (const Tensor& input : inputs) plain.push_back(input.detach());
    y = op.forward(plain);
  }
  std::vector<const Tensor*> pointers;
  for (const Tensor& input : inputs) pointers.push_back(&input);
  tell_and_record(std::move(op), pointers, y);
  return y;
}

// Marks `y`, made from `inputs` by an op without a gradient: backward through it throws
// "argmax is not differentiable; detach() if that is meant". Never drops a gradient silently.
Tensor poisoned(const char* op, Tensor y, const std::vector<Tensor>& inputs);

// The same tensor; backward through it throws an Error of this message.
Tensor without_gradient(const Tensor& x, const char* name, std::string message);

}  // namespace passband
