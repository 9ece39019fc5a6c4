// Noise with energy in one band of frequencies (Park and Kim, ICLR 2022, figure 2b), and the
// Fourier basis pictures of Yin et al. (NeurIPS 2019).
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/core/random.h"
#include "tensor/core/tensor.h"

namespace passband {

// A square ring of frequencies: of the two axes' angular frequencies, in radians per pixel, the
// larger lies in [centre - half_width, centre + half_width).
struct FrequencyBand {
  double centre = 0;
  double half_width = 0.2;  // as published
};

enum class RingShape : uint8_t {
  symmetric,  // the ring as defined above; zero frequency belongs to no band with centre >
              // half_width
  // The script of the paper: bins [-b, b) less [-a, a) of both axes, a and b = int((centre -+
  // half_width) * side / (2 pi)), at most side / 2. Not symmetric: the real part that is taken
  // keeps half of an edge's energy.
  park_kim,
};

// 1 where bin (u, v) is in the band, (height, width), zero frequency at (0, 0).
std::vector<double> band_mask(const FrequencyBand& band, int64_t height, int64_t width,
                              RingShape shape = RingShape::symmetric);

// Noise eps * sign(normal) for one picture per index, only the bins of a mask kept: the real part
// of the inverse transform. (N, H, W, C) f32. The same index and key give the same noise for every
// batch and device. Before masking its energy is eps^2 H W C; a band keeps about its share of the
// bins. Time: two forward transforms per picture and channel at construction, two for each band.
class BandNoise {
 public:
  explicit BandNoise(const Tensor& white);  // any noise (N, H, W, C) f32
  BandNoise(RandomKey key, const std::vector<int64_t>& indices, int64_t height, int64_t width,
            int64_t channels, double epsilon, Device device = {});
  Tensor in_band(const std::vector<double>& mask) const;

 private:
  Tensor real_, imaginary_;  // of the transform of the white noise
};

// Rescales every picture of `noise` (N, H, W, C) to the root mean square `rms` per value.
Tensor with_rms(const Tensor& noise, double rms);

// U_uv (H, W) f32: real, of unit L2 norm, its spectrum on (u, v) and the mirror (-u, -v) only,
// phase pi/4: (cos t + sin t) / sqrt(H W), t = 2 pi (u y / H + v x / W). Pictures of different
// mirror pairs are orthogonal.
Tensor fourier_basis(int64_t u, int64_t v, int64_t height, int64_t width);

}  // namespace passband
