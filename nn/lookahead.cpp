#include "nn/lookahead.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/ops/pointwise.h"
#include "tensor/ops/training/optimizer.h"

namespace passband {
namespace {

constexpr int64_t kInterval = 5;
constexpr double kDecay = 0.95;  // of a step

Tensor slow_copy(const Tensor& tensor) {
  Tensor copy = Tensor::empty_like(tensor);
  copy_(copy, tensor);
  return copy;
}

}  // namespace

Lookahead::Lookahead(ParameterStore& store)
    : values(slow_copy(store.values())), buffers(slow_copy(store.buffer_values())), store_(store) {}

void Lookahead::follow(int64_t step, int64_t total_steps) {
  const bool due = step % kInterval == 0, last = step >= total_steps;
  if (!due && !last) return;
  const double share = static_cast<double>(step) / static_cast<double>(total_steps);
  const double decay = std::min(1.0, std::pow(kDecay, kInterval) * std::pow(share, 3));
  for (const auto& [slow, fast] :
       {std::pair{values, store_.values()}, std::pair{buffers, store_.buffer_values()}}) {
    if (fast.numel() == 0) continue;
    if (due) average_step(slow, fast, decay);
    copy_(fast, slow);
  }
}

}  // namespace passband
