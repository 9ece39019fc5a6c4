// AugMix (Hendrycks et al., ICLR 2020) as timm has it: chains of operations, each on the picture as
// it was, mixed with each other and then with the picture.
#pragma once
#include <functional>
#include <vector>

#include "data/picture_operations.h"
#include "tensor/core/random.h"

namespace passband {

struct AugMixOptions {
  int64_t width = 3;  // chains
  int64_t depth = 0;  // operations of a chain; 0: 1 to 3, drawn for each
  double alpha = 1;   // of the Dirichlet and the Beta distribution
  bool blended = false;
};

// What is drawn once for a picture.
struct AugMixShares {
  std::vector<float> chains;  // of each chain in the mix; together 1
  float mix = 0;              // of the mix, beside the picture
};
AugMixShares draw_shares(const AugMixOptions& options, RandomSequence& random);

// The picture mixed with `chains`, one for each share, values truncated to bytes. blended: the
// chains are laid over the picture one after the other, each truncated, as timm's variant with
// less memory does; close to the other, not equal.
void mix_chains(BytePicture& picture, const std::vector<BytePicture>& chains,
                const AugMixShares& shares, bool blended);

}  // namespace passband
