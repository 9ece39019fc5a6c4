#include "analysis/explore/graph.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <compare>

#include "nn/context.h"
#include "tensor/autograd/node.h"
#include "tensor/autograd/trace.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

// What tells a buffer: memory and shape. All that is heard is kept, so no memory is used twice.
struct BufferKey {
  const void* memory;
  std::vector<int64_t> shape;
  auto operator<=>(const BufferKey&) const = default;
};

BufferKey key_of(const Tensor& x) {
  BufferKey key{x.raw(), {}};
  for (int d = 0; d < x.rank(); ++d) key.shape.push_back(x.size(d));
  return key;
}

struct Heard {
  std::vector<HeardOperation> operations;
  std::map<BufferKey, std::vector<TapSite>> sites;
  Tensor picture, logits;
};

Heard hear(const Model& model) {
  const int64_t side = model.options().image_size;
  Heard heard;
  heard.picture = Tensor::zeros({1, side, side, 3});
  const NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  const ListenGuard listen(
      [&](HeardOperation operation) { heard.operations.push_back(std::move(operation)); });
  const ProbeGuard probe(explored_taps(), [&](const TapSite& site, const Tensor& buffer) {
    heard.sites[key_of(buffer)].push_back(site);
    return buffer;
  });
  heard.logits = model(heard.picture);
  return heard;
}

// Makes the graph of what was heard, from the logits backwards and then in order.
class GraphMaker {
 public:
  GraphMaker(const Model& model, Heard heard) : heard_(std::move(heard)) {
    for (const ParameterRef& p : model.store().parameters()) names_[p->value.raw()] = p->name;
    for (const BufferRef& b : model.store().buffers()) names_[b->value.raw()] = b->name;
    for (size_t i = 0; i < heard_.operations.size(); ++i)
      made_by_[key_of(heard_.operations[i].output)].push_back(i);
  }

  NetworkGraph make() {
    values_[key_of(heard_.picture)] = 0;
    const size_t last = maker_of(heard_.logits, heard_.operations.size());
    CHECK(last != kNone, "the logits are not the result of an operation");
    require(last);
    std::vector<size_t> order;
    for (const auto& [i, depends] : needed_)
      if (depends) order.push_back(i);
    for (const size_t i : order) add(i);
    return std::move(graph_);
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  // The last operation before `end` that made the buffer.
  size_t maker_of(const Tensor& x, size_t end) const {
    const auto found = made_by_.find(key_of(x));
    if (found == made_by_.end()) return kNone;
    const auto after = std::ranges::lower_bound(found->second, end);
    return after == found->second.begin() ? kNone : *std::prev(after);
  }

  // Whether operation i depends on the picture. Its inputs are looked at first, without recursion:
  // networks are deep.
  void require(size_t last) {
    std::vector<size_t> stack{last};
    while (!stack.empty()) {
      const size_t i = stack.back();
      bool depends = false, ready = true;
      for (const Tensor& input : heard_.operations[i].inputs) {
        if (!input.defined()) continue;
        if (key_of(input) == key_of(heard_.picture)) depends = true;
        const size_t maker = maker_of(input, i);
        if (maker == kNone) continue;
        const auto known = needed_.find(maker);
        if (known != needed_.end()) depends = depends || known->second;
        else {
          stack.push_back(maker);
          ready = false;
        }
      }
      if (!ready) continue;
      needed_[i] = depends;
      stack.pop_back();
    }
  }

  GraphInput input_of(const Tensor& x, size_t reader) {
    if (!x.defined()) return {};
    const size_t maker = maker_of(x, reader);
    if (maker != kNone && needed_.at(maker)) return {GraphInput::From::value, number_.at(maker)};
    if (maker == kNone && key_of(x) == key_of(heard_.picture)) return {GraphInput::From::value, 0};
    return {GraphInput::From::constant, constant(x)};
  }

  size_t constant(const Tensor& x) {
    const auto [at, fresh] = constants_.try_emplace(key_of(x), graph_.constants.size());
    if (fresh) {
      const auto name = names_.find(x.raw());  // in whatever shape
      graph_.constants.push_back({name == names_.end() ? "" : name->second, x.detach()});
    }
    return at->second;
  }

  void add(size_t i) {
    const HeardOperation& heard = heard_.operations[i];
    GraphOperation operation{.name = heard.name, .heard = i};
    for (const Attribute& attribute : heard.attributes) {
      if (attribute.tensor.defined())
        operation.tensors[attribute.name] = constant(attribute.tensor);
      else operation.numbers[attribute.name] = attribute.numbers;
    }
    for (const Tensor& input : heard.inputs) operation.inputs.push_back(input_of(input, i));
    operation.shape = heard.output.shape();
    // Where a buffer is written down twice, a tap has seen what came last.
    const size_t owner = maker_of(heard.output, heard_.operations.size());
    const auto sites = heard_.sites.find(key_of(heard.output));
    if (owner == i && sites != heard_.sites.end()) operation.sites = sites->second;
    graph_.operations.push_back(std::move(operation));
    number_[i] = graph_.operations.size();
  }

  Heard heard_;
  NetworkGraph graph_;
  std::map<const void*, std::string> names_;
  std::map<BufferKey, std::vector<size_t>> made_by_;  // in order
  std::map<BufferKey, size_t> constants_, values_;
  std::map<size_t, bool> needed_;    // operations, and whether they depend on the picture
  std::map<size_t, size_t> number_;  // of an operation's value
};

}  // namespace

const std::vector<std::string>& explored_taps() {
  static const std::vector<std::string> names = {
      "out",       "branch",      "skip",     "attention", "lambda_values", "hydra_query",
      "hydra_key", "hydra_value", "features", "logits",    "conv",          "norm",
      "linear",    "q",           "k",        "v",         "heads",         "hidden"};
  return names;
}

bool is_halved(const GraphConstant& constant) {
  return !constant.name.empty() && constant.value.rank() >= 2 &&
         constant.value.dtype() == DType::f32;
}

int64_t NetworkGraph::bytes() const {
  int64_t total = 0;
  for (const GraphConstant& constant : constants)
    total += constant.value.numel() * (is_halved(constant) ? 2 : 4);
  return total;
}

NetworkGraph graph_of(const Model& model) { return GraphMaker(model, hear(model)).make(); }

uint16_t half_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000;
  const double size = std::abs(static_cast<double>(value));
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7e00);
  if (size >= 65520) return static_cast<uint16_t>(sign | 0x7c00);
  if (size == 0) return static_cast<uint16_t>(sign);
  int exponent = 0;
  std::frexp(size, &exponent);
  // Numbers in [2^(e-1), 2^e) lie 2^(e-11) apart, the smallest 2^-24.
  const int step = std::max(exponent - 11, -24);
  const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, -step)));
  // Ten bits of fraction; what carries over raises the exponent.
  const uint32_t magnitude = step == -24 ? units : (static_cast<uint32_t>(step + 24) << 10) + units;
  return static_cast<uint16_t>(sign | magnitude);
}

float half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
  double size = 0;
  if (exponent == 31) size = fraction ? std::nan("") : HUGE_VAL;
  else size = std::ldexp(fraction + (exponent ? 1024 : 0), std::max(exponent, 1) - 25);
  return static_cast<float>(bits & 0x8000 ? -size : size);
}

void round_to_halves(Model& model) {
  for (const ParameterRef& p : model.store().parameters()) {
    if (p->shape.rank() < 2) continue;
    Tensor value = p->value.detach();
    float* x = value.data<float>();
    for (int64_t i = 0; i < value.numel(); ++i) {
      const float rounded = half_value(half_bits(x[i]));
      if (!std::isfinite(rounded))
        throw UsageError(concat_text("--explore: ", p->name, " of ", model.name(), " holds ", x[i],
                                     ", which 16 bits can not; explore other weights"));
      x[i] = rounded;
    }
  }
  model.store().touch();
}

}  // namespace passband
