// The context of this thread and the random keys made from it.
#include "nn/context.h"

#include "tensor/autograd/node.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

thread_local Context current;

Context training_context(uint64_t seed, uint64_t step) {
  Context context = current;
  context.training = true;
  context.seed = seed;
  context.step = step;
  return context;
}

Context evaluation_context() {
  Context context = current;
  context.training = false;
  return context;
}

}  // namespace

const Context& context() { return current; }

Tensor settled(const char* layer, const Tensor& y) {
  if (current.training.said() || !recording() || !y.tracked()) return y;
  return without_gradient(
      y, layer,
      with_scope(concat_text(layer,
                             ": is this training or evaluation? Before the forward pass, make a "
                             "TrainingGuard, or an EvaluationGuard for gradients of the network "
                             "as it evaluates")));
}

ContextGuard::ContextGuard(const Context& context) : restore_(current) { current = context; }
ContextGuard::~ContextGuard() { current = restore_; }

TrainingGuard::TrainingGuard(uint64_t seed, uint64_t step)
    : ContextGuard(training_context(seed, step)) {}
EvaluationGuard::EvaluationGuard() : ContextGuard(evaluation_context()) {}

void count_step() { ++current.step; }

RandomKey random_key(std::string_view what) {
  return {current.seed, current.step, site_of(concat_text(current_scope(), '.', what))};
}

}  // namespace passband
