// Norms and angles of shortcut and branch.
#include "analysis/skip.h"

#include <algorithm>
#include <cmath>

#include "tensor/ops/shape.h"

namespace passband {

void SkipStatistics::add(double skip_norm2, double branch_norm2, double product) {
  tokens_ += 1;
  const double output2 = skip_norm2 + 2 * product + branch_norm2;
  if (skip_norm2 > 0 && branch_norm2 > 0) branch_ += product / std::sqrt(skip_norm2 * branch_norm2);
  if (skip_norm2 > 0 && output2 > 0)
    output_ += (skip_norm2 + product) / std::sqrt(skip_norm2 * output2);
  if (branch_norm2 <= 0) return;
  const double ratio = std::sqrt(skip_norm2 / branch_norm2);
  finite_ += 1;
  ratio_ += ratio;
  const double bin = std::log(std::max(ratio, kLow) / kLow) / std::log(kGrowth);
  histogram_[static_cast<size_t>(std::clamp(bin, 0.0, kBins - 1.0))] += 1;
}

double SkipStatistics::ratio() const { return finite_ > 0 ? ratio_ / finite_ : 0; }
double SkipStatistics::cosine_branch() const { return tokens_ > 0 ? branch_ / tokens_ : 0; }
double SkipStatistics::cosine_output() const { return tokens_ > 0 ? output_ / tokens_ : 0; }

double SkipStatistics::median_ratio() const {
  double below = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    const double here = histogram_[static_cast<size_t>(bin)];
    if (here > 0 && below + here >= 0.5 * finite_)
      return kLow * std::pow(kGrowth, bin + (0.5 * finite_ - below) / here);
    below += here;
  }
  return 0;
}

void SkipLayer::add(const Tensor& skip, const Tensor& branch) {
  const Tensor zs = cast(skip.detach(), DType::f32), fs = cast(branch.detach(), DType::f32);
  const int64_t width = zs.size(-1), tokens = zs.numel() / width;
  const int64_t per_picture = site.prefix + site.height * site.width;
  std::vector<double> sums(static_cast<size_t>(tokens * 3));
#pragma omp parallel for
  for (int64_t t = 0; t < tokens; ++t) {
    const float *z = zs.data<float>() + t * width, *f = fs.data<float>() + t * width;
    double* s = &sums[static_cast<size_t>(t * 3)];
    for (int64_t c = 0; c < width; ++c) {
      const double a = static_cast<double>(z[c]), b = static_cast<double>(f[c]);
      s[0] += a * a;
      s[1] += b * b;
      s[2] += a * b;
    }
  }
  for (int64_t t = 0; t < tokens; ++t) {
    const double* s = &sums[static_cast<size_t>(t * 3)];
    (t % per_picture < site.prefix ? class_token : places).add(s[0], s[1], s[2]);
  }
}

void add_skips(const Model& model, const Tensor& images, std::vector<SkipLayer>& layers) {
  NoGrad no_grad;
  const ContextGuard mode({.training = false});
  Tensor branch;
  size_t at = 0;
  const ProbeGuard probe({"branch", "skip"}, [&](const TapSite& site, const Tensor& buffer) {
    if (site.name == "branch") return branch = buffer;
    if (at == layers.size()) layers.push_back({.site = site});
    layers[at++].add(buffer, branch);
    return buffer;
  });
  model(images);
}

}  // namespace passband
