// The arithmetic is NumPy's in f32 and Pillow's: each product is rounded by itself.
#include "data/augmix.h"

#include <algorithm>

#include "tensor/core/error.h"
#include "tensor/core/random_gamma.h"

namespace passband {
namespace {

// A product of a float and a byte's difference is exact in f64, so no compiler can join it with the
// sum that follows.
float rounded_product(float share, int value) {
  return static_cast<float>(static_cast<double>(share) * value);
}

// Image.blend for a share from 0 to 1.
void lay_over(BytePicture& picture, const std::vector<uint8_t>& other, float share) {
  for (size_t i = 0; i < other.size(); ++i) {
    const int own = picture.pixels[i];
    picture.pixels[i] =
        static_cast<uint8_t>(static_cast<float>(own) + rounded_product(share, int{other[i]} - own));
  }
}

// How far each chain is laid over what is there, so that every one comes to its share.
std::vector<float> successive_shares(const AugMixShares& shares) {
  std::vector<float> successive(shares.chains.size());
  float left = 1;
  for (size_t i = shares.chains.size(); i-- > 0;) {
    successive[i] = left > 0 ? std::min(1.0f, shares.chains[i] * shares.mix / left) : 0;
    left *= 1 - successive[i];
  }
  return successive;
}

}  // namespace

AugMixShares draw_shares(const AugMixOptions& options, RandomSequence& random) {
  std::vector<double> gammas;
  double sum = 0;
  for (int64_t i = 0; i < options.width; ++i)
    sum += gammas.emplace_back(draw_gamma(options.alpha, random));
  AugMixShares shares;
  for (const double gamma : gammas) shares.chains.push_back(static_cast<float>(gamma / sum));
  shares.mix = static_cast<float>(draw_beta(options.alpha, random));
  return shares;
}

void mix_chains(BytePicture& picture, const std::vector<BytePicture>& chains,
                const AugMixShares& shares, bool blended) {
  CHECK(chains.size() == shares.chains.size(), "mix_chains: ", chains.size(), " chains, but ",
        shares.chains.size(), " shares");
  if (blended) {
    const std::vector<float> successive = successive_shares(shares);
    for (size_t c = 0; c < chains.size(); ++c) lay_over(picture, chains[c].pixels, successive[c]);
    return;
  }
  std::vector<float> sums(picture.pixels.size());
  for (size_t c = 0; c < chains.size(); ++c)
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] += rounded_product(shares.chains[c], chains[c].pixels[i]);
  std::vector<uint8_t> mix(sums.size());
  std::ranges::transform(sums, mix.begin(),
                         [](float v) { return static_cast<uint8_t>(std::clamp(v, 0.0f, 255.0f)); });
  lay_over(picture, mix, shares.mix);
}

}  // namespace passband
