// Nodes that are not templates: guards of saved tensors, poison, release without recursion.
#include "tensor/autograd/node.h"

#include <new>
#include <utility>

#include "tensor/autograd/sum.h"

namespace passband {
namespace {

thread_local bool recording_on = true;

class PoisonNode final : public Node {
 public:
  PoisonNode(const char* op, std::string message, const std::vector<Tensor>& inputs)
      : op_(op), message_(std::move(message)) {
    for (const Tensor& input : inputs)
      edges_.push_back({input.node(), input.shape(), input.dtype()});
  }
  ~PoisonNode() override { release_references(); }
  Grads backward(const Tensor&, Arrived&) override { throw Error(message_); }
  const char* name() const override { return op_; }

 private:
  const char* op_;
  std::string message_;
};

}  // namespace

Tensor Tensor::leaf() const {
  CHECK(defined() && is_floating(dtype_), "leaf: only a floating-point tensor has gradients, not ",
        describe());
  Tensor result = *this;
  result.node_ = std::make_shared<Leaf>();
  return result;
}

bool recording() { return recording_on; }
RecordGuard::RecordGuard(bool on) : restore_(recording_on) { recording_on = on; }
RecordGuard::~RecordGuard() { recording_on = restore_; }

Tensor Arrived::take(size_t i) {
  const auto found = sums_.find(edges_[i].node.get());
  if (found == sums_.end() || !found->second.defined()) return {};
  return whole_gradient(std::exchange(found->second, {}), edges_[i].shape, edges_[i].dtype);
}

Node::~Node() { release_references(); }

void Node::collect_references(std::vector<std::shared_ptr<Node>>& out) {
  for (Edge& edge : edges_)
    if (edge.node) out.push_back(std::move(edge.node));
  edges_.clear();
}

// Each destructor would otherwise recurse into its inputs' destructors and overflow the stack on
// deep graphs.
void Node::release_references() {
  std::vector<std::shared_ptr<Node>> pending;
  try {
    collect_references(pending);
    while (!pending.empty()) {
      const std::shared_ptr<Node> node = std::move(pending.back());
      pending.pop_back();
      if (node && node.use_count() == 1) node->collect_references(pending);
    }
  } catch (const std::bad_alloc&) {  // what is left goes by recursion
  }
}

const Tensor& Saved::checked(const Tensor& tensor, uint64_t version) const {
  CHECK(!tensor.defined() || tensor.version() == version, op_, ": a tensor saved for backward (",
        tensor, ") was changed in place after the forward pass");
  return tensor;
}

const Tensor& Saved::input(size_t i) const {
  CHECK(save_ == Save::input || save_ == Save::both, op_, ": backward read input ", i,
        ", which the op does not save");
  CHECK(!released_, op_,
        ": the graph was released by an earlier backward; pass "
        ".retain_graph = true to the first one");
  return checked(inputs_[i], input_versions_[i]);
}

Tensor Saved::output() const {
  CHECK(save_ == Save::output || save_ == Save::both, op_,
        ": backward read the output, which the op does not save");
  CHECK(!released_, op_,
        ": the graph was released by an earlier backward; pass "
        ".retain_graph = true to the first one");
  Tensor y = checked(output_, output_version_);
  y.set_node(self_->shared_from_this());
  return y;
}

OperationNode::OperationNode(const char* name, Save save, std::span<const Tensor* const> inputs,
                             const Tensor& output) {
  saved_.op_ = name;
  saved_.save_ = save;
  saved_.self_ = this;
  for (const Tensor* input : inputs) {
    edges_.push_back({input->node(), input->shape(), input->dtype()});
    saved_.needs_.push_back(input->tracked());
    if (save == Save::input || save == Save::both) {
      saved_.inputs_.push_back(*input);
      saved_.input_versions_.push_back(input->version());
    }
  }
  if (save == Save::output || save == Save::both) {
    saved_.output_ = output.detach();
    saved_.output_version_ = output.version();
  }
}

OperationNode::~OperationNode() { release_references(); }

void OperationNode::release_saved() {
  std::vector<std::shared_ptr<Node>> references;
  take_saved_nodes(references);
  saved_.inputs_.clear();
  saved_.output_ = {};
  saved_.released_ = true;
  release_buffers();
}

void OperationNode::collect_references(std::vector<std::shared_ptr<Node>>& out) {
  take_saved_nodes(out);
  Node::collect_references(out);
}

void OperationNode::take_saved_nodes(std::vector<std::shared_ptr<Node>>& out) {
  for (Tensor& input : saved_.inputs_) {
    if (input.tracked()) out.push_back(input.node());
    input.set_node(nullptr);
  }
}

bool any_tracked(std::span<const Tensor* const> tensors) {
  return std::ranges::any_of(tensors, [](const Tensor* tensor) { return tensor->tracked(); });
}

Tensor poisoned(const char* op, Tensor y, const std::vector<Tensor>& inputs) {
  const bool tracked = std::ranges::any_of(inputs, &Tensor::tracked);
  if (recording() && tracked)
    y.set_node(std::make_shared<PoisonNode>(
        op, concat_text(op, " is not differentiable; detach() if that is meant"), inputs));
  return y;
}

Tensor without_gradient(const Tensor& x, const char* name, std::string message) {
  Tensor y = x;
  if (recording() && x.tracked())
    y.set_node(std::make_shared<PoisonNode>(name, std::move(message), std::vector<Tensor>{x}));
  return y;
}

}  // namespace passband
