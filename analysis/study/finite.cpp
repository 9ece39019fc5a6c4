#include "analysis/study/finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/study/host.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {
namespace {

int64_t count_not_finite(const Tensor& x) {
  int64_t count = 0;
  for (const double value : on_host(x).values()) count += !std::isfinite(value);
  return count;
}

// "a (3 of 12 values), b (1 of 4 values) and 7 more"
class Culprits {
 public:
  void add(const std::string& name, const Tensor& x) {
    if (all_finite(x)) return;
    if (++count_ > kNamed) return;
    text_ += fmt::format("{}{} ({} of {} values)", count_ > 1 ? ", " : "", name,
                         count_not_finite(x), x.numel());
  }
  std::string text() const {
    return count_ > kNamed ? fmt::format("{} and {} more", text_, count_ - kNamed) : text_;
  }

 private:
  static constexpr int64_t kNamed = 3;
  int64_t count_ = 0;
  std::string text_;
};

}  // namespace

bool all_finite(const Tensor& x) {
  if (!x.defined() || x.numel() == 0) return true;
  NoGrad no_grad;
  // 0 times what is not finite is NaN, and nothing takes a NaN out of a sum.
  return std::isfinite(sum(x.detach() * 0.0).item());
}

std::string non_finite_weights(const Model* model) {
  if (!model) return {};
  const ParameterStore& store = model->store();
  const bool parameters = all_finite(store.values());
  if (parameters && all_finite(store.buffer_values())) return {};
  Culprits culprits;
  for (const ParameterRef& p : store.parameters()) culprits.add(p->name, p->value.detach());
  for (const BufferRef& b : store.buffers()) culprits.add(b->name, b->value.detach());
  return "its weights " + culprits.text() + " are not finite";
}

void check_finite(const Model& model, const TapSite& site, const Tensor& buffer) {
  if (!all_finite(buffer))
    throw NotFinite(model, fmt::format("its activations {} are not finite", site.path));
}

void check_finite(const Model& model, std::span<const double> values, const std::string& quantity) {
  if (!std::ranges::all_of(values, [](double value) { return std::isfinite(value); }))
    throw NotFinite(model, fmt::format("{} are not finite", quantity));
}

void check_logits(const Model& model, const Tensor& images, const Tensor& logits) {
  if (all_finite(logits)) return;
  NoGrad no_grad;
  {
    const ProbeGuard probe({"out"}, [&](const TapSite& site, const Tensor& buffer) {
      check_finite(model, site, buffer);
      return buffer;
    });
    model(images.detach());
  }
  throw NotFinite(model, "its logits are not finite");
}

Tensor finite_logits(const Model& model, const Tensor& images) {
  Tensor logits = model(images);
  check_logits(model, images, logits);
  return logits;
}

}  // namespace passband
