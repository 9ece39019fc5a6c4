// Runs gradients: order of nodes, sums where paths meet, leaves.
#include "tensor/autograd/engine.h"

#include <unordered_map>
#include <unordered_set>

#include "tensor/autograd/sum.h"
#include "tensor/core/batch_parts.h"

namespace passband {
namespace {

// Nodes in an order where every node comes after all nodes it feeds. Iterative: depth is not
// limited by the stack.
std::vector<Node*> reverse_topological(Node* root) {
  std::vector<Node*> order;
  std::unordered_set<Node*> seen{root};
  std::vector<std::pair<Node*, size_t>> stack{{root, 0}};
  while (!stack.empty()) {
    auto& [node, next] = stack.back();
    if (next < node->edges().size()) {
      Node* input = node->edges()[next++].node.get();
      if (input && seen.insert(input).second) stack.push_back({input, 0});
    } else {
      order.push_back(node);
      stack.pop_back();
    }
  }
  std::ranges::reverse(order);
  return order;
}

// A leaf may be brought its gradient in bf16 and have it added in its own type (Cast::backward), or
// in parts. Sums over the parts of a batch are f32 until they are there.
bool fits(const Tensor& gradient, const Edge& edge) {
  if (is_in_parts(gradient, edge.shape))
    return gradient.dtype() == DType::f32 && !recording() && edge.node->takes_parts();
  if (gradient.shape() != edge.shape) return false;
  if (gradient.dtype() == edge.dtype) return true;
  if (recording()) return false;
  if (gradient.dtype() == DType::bf16) return dynamic_cast<const Leaf*>(edge.node.get()) != nullptr;
  return batch_parts().count > 1 && gradient.dtype() == DType::f32 && edge.dtype == DType::bf16;
}

void check_gradients(const Node& node, const Grads& gradients) {
  CHECK(gradients.size() == node.edges().size(), node.name(), ": backward returned ",
        gradients.size(), " gradients for ", node.edges().size(), " inputs");
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Edge& edge = node.edges()[i];
    if (!edge.node) continue;
    CHECK(gradients[i].defined(), node.name(), ": backward dropped the gradient of input ", i);
    CHECK(fits(gradients[i], edge), node.name(), ": gradient ", i, " is ", gradients[i],
          ", its input is ", name_of(edge.dtype), edge.shape);
  }
}

// What the inputs of a node get from a result without elements, whatever the operation.
Grads zero_gradients(const Node& node, Device device) {
  Grads gradients;
  for (const Edge& edge : node.edges())
    gradients.push_back(edge.node ? Tensor::zeros(edge.shape, edge.dtype, device) : Tensor{});
  return gradients;
}

// In the type of the input. Sums in place when nobody else can see the memory of the first sum.
void accumulate(Tensor& sum, Tensor gradient, const Edge& edge) {
  if (!sum.defined()) {
    sum = std::move(gradient);
    return;
  }
  sum = whole_gradient(sum, edge.shape, edge.dtype);
  gradient = whole_gradient(gradient, edge.shape, edge.dtype);
  if (!recording() && sum.is_sole_owner()) {
    add_(sum, gradient);
  } else {
    sum = add(sum, gradient);
  }
}

Tensor seed_of(const Tensor& output, const GradOptions& options) {
  CHECK(output.tracked(), "grad: the output ", output, " does not depend on any leaf");
  if (!options.seed.defined()) {
    CHECK(output.numel() == 1, "grad: the output ", output,
          " has more than one element; give a seed");
    return Tensor::full(output.shape(), 1.0, output.dtype(), output.device());
  }
  CHECK(options.seed.shape() == output.shape() && options.seed.dtype() == output.dtype(),
        "grad: the seed is ", options.seed, ", the output is ", output);
  return options.seed;
}

// Adds the gradients of leaves that have memory of their own to it, once they are whole: nothing
// comes any more when all nodes that a leaf feeds have had their turn. Several wait for one
// another: on a GPU, which adds them in one launch, as many as stay in its cache; on the CPU all,
// or none where somebody wants to hear.
class BoundLeaves {
 public:
  explicit BoundLeaves(const WholeGradient& whole) : whole_(whole) {}

  void expect(const std::vector<Node*>& order) {
    for (const Node* node : order)
      for (const Edge& edge : node->edges())
        if (is_bound(edge.node.get())) ++to_come_[edge.node.get()];
  }

  // The turn of a node is over: leaves that wait for no other get their gradient from `sums`.
  void after(const Node& node, GradMap& sums) {
    for (const Edge& edge : node.edges())
      if (is_bound(edge.node.get()) && --to_come_.at(edge.node.get()) == 0)
        hand_over(*static_cast<Leaf*>(edge.node.get()), sums);
  }

  void add_all() {
    const NoGrad guard;
    add_all_(waiting_);
    if (whole_)
      for (const InPlaceSum& sum : waiting_) whole_(sum.y);
    waiting_.clear();
    bytes_ = 0;
  }

 private:
  static bool is_bound(const Node* node) {
    const auto* leaf = node && node->edges().empty() ? dynamic_cast<const Leaf*>(node) : nullptr;
    return leaf && leaf->bound;
  }

  void hand_over(Leaf& leaf, GradMap& sums) {
    const auto found = sums.find(&leaf);
    if (found == sums.end()) return;
    waiting_.push_back({leaf.grad, found->second});
    bytes_ += found->second.numel() * size_of(found->second.dtype());
    sums.erase(found);
    constexpr int64_t kMostWaiting = int64_t{32} << 20;
    if (leaf.grad.device().is_cuda() ? bytes_ >= kMostWaiting : whole_ != nullptr) add_all();
  }

  const WholeGradient& whole_;
  std::unordered_map<const Node*, int64_t> to_come_;
  std::vector<InPlaceSum> waiting_;
  int64_t bytes_ = 0;
};

// Runs backward from `output`. Gradients of nodes in `keep` (all leaves when empty, but for those
// in the care of `bound`) stay in the returned map.
GradMap run(const Tensor& output, const GradOptions& options, const std::unordered_set<Node*>& keep,
            BoundLeaves* bound = nullptr) {
  Tensor seed = seed_of(output, options);
  const bool retain = options.retain_graph || options.create_graph;
  RecordGuard mode(options.create_graph);
  GradMap sums;
  Node* root = output.node().get();
  sums[root] = std::move(seed);
  const std::vector<Node*> order = reverse_topological(root);
  if (bound) bound->expect(order);
  for (Node* node : order) {
    const auto found = sums.find(node);
    if (found == sums.end()) {
      if (bound) bound->after(*node, sums);
      continue;
    }
    const bool is_leaf = node->edges().empty();
    Tensor dy = found->second;
    if (!is_leaf && !keep.contains(node)) sums.erase(found);
    if (is_leaf) continue;
    Arrived arrived(node->edges(), sums);
    Grads gradients =
        dy.numel() == 0 ? zero_gradients(*node, dy.device()) : node->backward(dy, arrived);
    dy = {};
    check_gradients(*node, gradients);
    for (size_t i = 0; i < gradients.size(); ++i) {
      const Edge& edge = node->edges()[i];
      Tensor gradient = std::move(gradients[i]);
      if (edge.node) accumulate(sums[edge.node.get()], std::move(gradient), edge);
    }
    gradients.clear();
    if (bound) bound->after(*node, sums);
    if (!retain) node->release_saved();
  }
  return sums;
}

Leaf& leaf_of(const Tensor& tensor, const char* what) {
  auto* leaf = dynamic_cast<Leaf*>(tensor.node().get());
  CHECK(leaf, what, ": ", tensor, " is not a leaf");
  return *leaf;
}

}  // namespace

std::vector<Tensor> grad(const Tensor& output, const std::vector<Tensor>& inputs,
                         const GradOptions& options) {
  std::unordered_set<Node*> keep;
  for (const Tensor& input : inputs) {
    CHECK(input.tracked(), "grad: input ", input, " is not tracked; make it a leaf()");
    keep.insert(input.node().get());
  }
  GradMap sums = run(output, options, keep);
  std::vector<Tensor> result;
  for (const Tensor& input : inputs) {
    const auto found = sums.find(input.node().get());
    CHECK(found != sums.end() || options.allow_unused, "grad: the output does not depend on input ",
          input, "; pass .allow_unused = true for zeros");
    result.push_back(found != sums.end()
                         ? whole_gradient(found->second, input.shape(), input.dtype())
                         : Tensor::zeros_like(input));
  }
  return result;
}

void backward(const Tensor& output, const GradOptions& options, const WholeGradient& whole) {
  BoundLeaves bound(whole);
  const GradMap sums = run(output, options, {}, &bound);
  bound.add_all();
  NoGrad guard;
  for (const auto& [node, gradient] : sums) {
    auto* leaf = dynamic_cast<Leaf*>(node);
    if (!leaf) continue;
    if (leaf->bound) add_all_({{leaf->grad, gradient}});  // the output itself
    else leaf->grad = leaf->grad.defined() ? add(leaf->grad, gradient) : gradient;
  }
}

Tensor grad_of(const Tensor& leaf) { return leaf_of(leaf, "grad_of").grad; }

void clear_grad(const Tensor& leaf) {
  Leaf& node = leaf_of(leaf, "clear_grad");
  if (node.bound) {
    fill_(node.grad, 0);
  } else {
    node.grad = {};
  }
}

void bind_grad(const Tensor& leaf, Tensor memory) {
  CHECK(memory.shape() == leaf.shape() && memory.dtype() == leaf.dtype(),
        "bind_grad: gradient memory ", memory, " does not fit ", leaf);
  Leaf& node = leaf_of(leaf, "bind_grad");
  node.grad = std::move(memory);
  node.bound = true;
}

}  // namespace passband
