// What does a network learn from less? Its layers compared with those of networks of the same architecture that were
// trained on a share of the data, from another seed, or not at all (Raghu et al., NeurIPS 2021, section 6).
#pragma once
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

// CKA of corresponding layers of a reference and of others, summed over minibatches: unbiased, linear kernel (see
// cka.h), n^2 doubles a layer and network while a batch is running.
class CorrespondingCka {
 public:
  CorrespondingCka(int64_t others, int64_t layers);
  // U-centred kernels of one batch, (n * n) f64: [network][layer], the reference first.
  void add(const std::vector<std::vector<Tensor>>& kernels);
  // (others, layers); NaN where a layer of either network is dead.
  std::vector<std::vector<double>> values() const;

 private:
  std::vector<std::vector<double>> cross_, self_;  // [other][layer]; self_[0] is the reference's
};

}  // namespace passband
