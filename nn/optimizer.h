// Optimisers: a rule of update over a store's flat vector of parameters, in one fused step.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nn/muon.h"
#include "nn/parameters.h"
#include "tensor/ops/training/optimizer.h"

namespace passband {

// Stochastic gradient descent with momentum, as torch.optim.SGD.
struct Sgd {
  double lr = 0.1, momentum = 0.9;
  double weight_decay = 0;  // L2: added to the gradient
  bool nesterov = false;
};

// Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as torch.optim.AdamW.
struct Adamw {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
};

using UpdateRule = std::variant<Sgd, Adamw>;

// Exponential moving averages of weights and buffers, with the decay of step t limited to (1 + t) /
// (10 + t).
class WeightAverage {
 public:
  WeightAverage(const ParameterStore& store, double decay);
  double decay_at(int64_t step) const;
  Tensor values, buffers;

 private:
  double decay_;
};

// Steps scaled by the layer (nn/layerwise.h) of the tensors that weight decay takes, where it is
// more than 0: those of SGD as LARS has them, with this trust; those of AdamW as LAMB has them.
struct LayerwiseRates {
  double trust = 1e-3;
};

struct OptimizerOptions {
  double clip_norm = 0;              // most that the gradients' Euclidean norm may be; 0: anything
  bool decay_all = false;            // weight decay takes norms, biases and position tables too
  WeightAverage* average = nullptr;  // kept up to date in the same pass
  // What multiplies the learning rate, for each parameter of the store in its order; empty: 1.
  std::vector<double> lr_scales = {};
  std::vector<double> decay_scales = {};  // likewise, of weight decay, beside that of the rate
  const Parameter* apart = nullptr;       // learns at a rate of its own: set_rate_apart()
  // Parameters that Muon updates in place of the rule, for each of the store whether; all have two
  // dimensions or more, the first one the rows of a matrix. Muon's learning rate keeps to the
  // schedule of the rule's, as shares of its own.
  std::optional<MuonOptions> muon = {};
  std::vector<bool> matrices = {};
  std::optional<LayerwiseRates> layerwise = {};
};

// Optimizer optimizer(store, Sgd{.lr = 0.1});  and in each step:  backward(loss); optimizer.step();
class Optimizer {
 public:
  // The store, built and on its device, and the average must outlive the optimiser.
  Optimizer(ParameterStore& store, const UpdateRule& rule, const OptimizerOptions& options = {});

  // Updates the parameters from the gradients that backward() has added up since the last step,
  // sets these to zero, and moves the random numbers of this thread's context on. The learning rate
  // is the rule's, or that of a schedule.
  void step();
  void step(double lr);

  // The update alone, in three parts, for who records the middle one. `begin` counts the step and
  // brings its numbers (learning rate, bias corrections, decay of the average) to the device.
  // `update` is the device's work, always the same: the store's gradients, clipped where asked for,
  // change values, state, average and bf16 copy. `end` tells the host's side that they have
  // changed, which a launched recording does not.
  void begin(double lr);
  void update();
  void end();

  // The momentum of the steps from here on, of a warm-up; AdamW has none to change. A recorded step
  // keeps the one that it was recorded with.
  void set_momentum(double momentum);

  // The learning rate of the parameter apart in the steps from here on, whatever that of the others
  // is; 0 until it is set.
  void set_rate_apart(double lr) { rate_apart_ = lr; }

  // After parameters of the store were frozen: forgets how they moved, so that they stay.
  void refresh_frozen();

  // State by name ("momentum", or "first" and "second"), and the number of steps taken: what a
  // checkpoint holds. Muon's momentum stands in the place of "momentum" or "first".
  const std::map<std::string, Tensor>& state() const { return state_; }
  int64_t steps() const { return steps_; }
  // Copies a saved state in. Throws DataError when a name is missing or a size differs.
  void restore(const std::map<std::string, Tensor>& saved, int64_t steps);

 private:
  // A learning rate of the present step.
  struct Rate {
    double scale = 1;
    bool of_muon = false, apart = false;
    Tensor rates;
  };
  // Parameters that follow each other in the flat vector and are updated as one: at one rate, or
  // one of Muon's matrices.
  struct Range {
    int64_t begin = 0, count = 0;
    int64_t rows = 0;           // of Muon's matrix; 0: the rule's
    size_t rate = 0;            // index
    ParameterRef adapted = {};  // whose steps are scaled by its layer

    Tensor of(const Tensor& flat) const { return flat ? flat.view(begin, Shape{count}) : Tensor{}; }
  };

  void add_ranges();
  size_t rate_of(double scale, bool of_muon, bool apart);
  Tensor scaled_decay_mask() const;
  void set_rate(const Rate& rate, double lr, double decay);
  void update_range(const Range& range, StepExtras extras);
  void update_matrix(const Range& range, const StepExtras& extras);
  void update_layer(const Range& range, const StepExtras& extras);
  bool adapts(const Parameter& parameter) const;

  ParameterStore& store_;
  UpdateRule rule_;
  OptimizerOptions options_;
  Tensor decay_mask_;
  std::vector<Rate> rates_;
  std::vector<Range> ranges_;
  std::map<std::string, Tensor> state_;
  int64_t steps_ = 0;
  double rate_apart_ = 0;
};

}  // namespace passband
