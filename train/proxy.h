// A small network that chooses, from every batch, what the network in training learns from (as
// airbench96_faster, Jordan 2024; after selective backpropagation, Jiang et al., arXiv 1910.00762).
#pragma once
#include <memory>

#include "data/dataset.h"
#include "models/model.h"
#include "nn/optimizer.h"
#include "train/config.h"

namespace passband {

// Forward passes over the whole batch give each picture a loss; the share `select_hard` of it with
// the largest ones is chosen. The proxy learns from the chosen ones itself, in one of
// `proxy_interval` steps, with the settings of the run: rates, schedule, initial values, whitening
// (a whitened layer's bias stays).
class Proxy {
 public:
  // On `device`. `of` says the size of pictures and the classes. Throws UsageError when the network
  // does not take such pictures.
  Proxy(const RunSettings& config, const Dataset& train, const ModelOptions& of, Device device);

  bool learns_at(uint64_t step) const { return step % interval_ == 0; }

  // The device's work on a batch, which a recording may hold for steps that learn, or do not,
  // alike: images (N, S, S, 3), labels (N) i32; the rows chosen, i32, in ascending order.
  Tensor choose(const Tensor& images, const Tensor& labels, uint64_t step);
  // The host's side of a step, before and after it; as Optimizer's.
  void begin(uint64_t step, double lr);
  void end(uint64_t step);
  void set_momentum(double momentum) { optimizer_->set_momentum(momentum); }

  Model& model() { return *model_; }
  const Model& model() const { return *model_; }
  Optimizer& optimizer() { return *optimizer_; }
  const Optimizer& optimizer() const { return *optimizer_; }
  // Steps of its optimiser after so many of the run's.
  int64_t updates_after(int64_t steps) const { return (steps + interval_ - 1) / interval_; }

 private:
  const RunSettings& config_;
  int64_t interval_;
  DType compute_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
};

}  // namespace passband
