// The curvature of a network's loss: exact Hessian-vector products by differentiating the gradient.
//
// Loss of a batch: mean cross-entropy plus weight decay, the network in evaluation mode (running
// statistics, no dropout), its parameters as one flat vector of P. One product costs about two
// passes backward.
#pragma once
#include <cstdint>
#include <vector>

#include "analysis/loss/lanczos.h"
#include "analysis/study/progress.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "models/model.h"
#include "nn/mixing.h"

namespace passband {

// What is minimised beside the mean cross-entropy.
struct LossTerms {
  enum class Decay {
    squared,  // lambda / 2 sum w^2: what weight decay does; every eigenvalue moves up by lambda
    norms,    // lambda sum over tensors of |w_t|, unsquared: the script of Park and Kim (2022)
  };
  double smoothing = 0;
  double decay = 0;        // lambda
  bool decay_all = false;  // norms, biases and position tables too; `norms` always takes all
  Decay rule = Decay::squared;
};

struct LossBatch {
  Tensor images;        // (N, S, S, 3)
  Tensor labels;        // (N) i32
  Tensor targets = {};  // (N, classes) f32, smoothed, of a mixed batch; else undefined

  // Mean over the batch, of the mixed targets or of the labels smoothed so.
  Tensor cross_entropy_of(const Tensor& logits, double smoothing) const;
};

// Pictures in batches, made as in training when `augmented` is set: cropped, flipped, cut out and
// mixed. Holds indices only.
struct LossBatches {
  const Dataset* data = nullptr;
  std::vector<int64_t> indices;
  int64_t batch_size = 64, image_size = 32;
  Device device = {};  // where batches go
  bool augmented = false;
  AugmentOptions augment;
  MixingOptions mixing;
  double smoothing = 0;  // of mixed targets
  RandomKey key;

  int64_t count() const;  // batches, the last one may be smaller
  LossBatch batch(int64_t i) const;
};

// Decay term: its value, its gradient and its product with a vector, in closed form.
double decay_loss(const ParameterStore& store, const LossTerms& terms);
Tensor decay_gradient(const ParameterStore& store, const LossTerms& terms);  // (P)
// (P)
Tensor decay_hessian_times(const ParameterStore& store, const LossTerms& terms, const Tensor& v);

// The Hessian of one batch. Keeps the graph of the gradient, so that each product is one pass
// backward through it; memory: that graph, about four times what training keeps for the batch.
// `model` must stay as it is.
class BatchHessian {
 public:
  BatchHessian(const Model& model, const LossBatch& batch, const LossTerms& terms);
  double loss() const { return loss_; }
  Tensor gradient() const;              // (P)
  Tensor times(const Tensor& v) const;  // (P); throws when v is not (P) of the parameters' type
  SymmetricMap map() const;

 private:
  const Model* model_;
  LossTerms terms_;
  double loss_ = 0;
  std::vector<Tensor> gradients_;  // tracked, one for each parameter
};

// The Hessian of the mean loss over many batches, weighted by their sizes. Every product runs
// through all pictures again; memory does not grow with them.
SymmetricMap hessian_over(const Model& model, const LossBatches& batches, const LossTerms& terms,
                          const Progress& progress = {}, int64_t expected_products = 1);

// Gaussian kernel density of samples with Scott's width (standard deviation times n^(-1/5)); with
// samples of no spread the width is 1e-3 of their magnitude.
std::vector<double> kernel_density(const std::vector<double>& samples,
                                   const std::vector<double>& points);

// Summaries of a spectrum p (Park and Kim 2022, appendix): how non-convex, how sharp.
struct SpectrumSummary {
  double negative_share = 0;  // NEP: integral of p over eigenvalues below 0
  double positive_mean = 0;   // APE: mean of the eigenvalues above 0
};
SpectrumSummary summary_of(const std::vector<double>& eigenvalues);

}  // namespace passband
