// The context of a forward pass: training or evaluation, the random key, the compute type. Thread
// local.
#pragma once
#include "tensor/core/batch_share.h"
#include "tensor/core/random.h"
#include "tensor/core/tensor.h"

namespace passband {

// Training or evaluation, or neither, as long as nobody has said which. It is no condition by
// itself: ask in_training().
class Mode {
 public:
  constexpr Mode() = default;
  constexpr Mode(bool training) : said_(true), training_(training) {}
  constexpr bool said() const { return said_; }
  constexpr bool is_training() const { return training_; }

 private:
  bool said_ = false, training_ = false;
};

struct Context {
  Mode training = {};
  uint64_t seed = 0;
  // Training step: with the seed and the module path it keys dropout and drop path.
  uint64_t step = 0;
  // The rows of the batch of all processes that this pass has: what is drawn for a row does not
  // depend on who has it.
  BatchShare share = {};
  // Element type of activations; parameters stay f32 (f64 for f64).
  DType compute = DType::f32;
  // The graph holds gates, attention and lambda weights and the deviations of norms constant, so
  // that its derivative is the linear map that this very input goes through (biases aside). The
  // values of the pass are the same. For evaluation, see nn/linearise.h.
  bool linearised = false;
};

const Context& context();

// Training was asked for. A layer that acts otherwise in training evaluates when nobody has said
// anything, and passes its result through settled().
inline bool in_training() { return context().training.is_training(); }

// What `layer` made in evaluation. Where nobody has said that it is evaluation, a gradient through
// it is an error that names the way out: such a pass would train the wrong network.
Tensor settled(const char* layer, const Tensor& y);

// Installs a context for a scope.
class ContextGuard {
 public:
  explicit ContextGuard(const Context& context);
  ~ContextGuard();
  ContextGuard(const ContextGuard&) = delete;
  ContextGuard& operator=(const ContextGuard&) = delete;

 private:
  Context restore_;
};

// Training for a scope, all else as it is around it: batch norms normalise by their batch, dropout
// and drop path drop. Made once, before the loop: Optimizer::step() brings the next random numbers.
// Made anew in every step, it has to be given the step.
struct TrainingGuard : ContextGuard {
  explicit TrainingGuard(uint64_t seed = 0, uint64_t step = 0);
};

// Evaluation for a scope: batch norms use their running statistics, nothing is dropped.
struct EvaluationGuard : ContextGuard {
  EvaluationGuard();
};

// Counts the step of this thread's context up by one.
void count_step();

// Random key of this step for the module that is running (site = its path plus `what`).
RandomKey random_key(std::string_view what);

}  // namespace passband
