// Norms and angles of shortcut and branch.
#include "analysis/places/skip.h"

#include <algorithm>
#include <cmath>

#include "analysis/study/finite.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {
namespace {

// Mean of log2 |z| / |f| over tokens where both are something.
struct LogMean {
  double sum = 0, count = 0;

  void add(double skip_norm2, double branch_norm2) {
    if (skip_norm2 <= 0 || branch_norm2 <= 0) return;
    sum += std::log2(skip_norm2 / branch_norm2) / 2;
    count += 1;
  }
  double value() const { return count > 0 ? sum / count : std::nan(""); }
};

}  // namespace

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

void SkipStatistics::join(const OwnPart& part) {
  for (double* sum : {&tokens_, &finite_, &ratio_, &branch_, &output_}) part.join(*sum);
  std::vector<double> bins(histogram_.begin(), histogram_.end());
  part.join(bins);
  std::ranges::copy(bins, histogram_.begin());
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
  NoGrad no_grad;
  const Tensor z = cast(skip.detach(), DType::f32), f = cast(branch.detach(), DType::f32);
  const std::vector<double> skip2 = vecdot(z, z).values(), branch2 = vecdot(f, f).values(),
                            product = vecdot(z, f).values();
  const auto prefix = static_cast<size_t>(site.prefix),
             tokens = prefix + static_cast<size_t>(site.height * site.width);
  for (size_t first = 0; first < product.size(); first += tokens) {
    LogMean class_mean, place_mean;
    for (size_t t = 0; t < tokens; ++t) {
      const size_t i = first + t;
      (t < prefix ? class_token : places).add(skip2[i], branch2[i], product[i]);
      (t < prefix ? class_mean : place_mean).add(skip2[i], branch2[i]);
    }
    place_logs.push_back(place_mean.value());
    class_logs.push_back(class_mean.value());
  }
}

void SkipLayer::join(const OwnPart& part) {
  places.join(part);
  class_token.join(part);
  part.append(place_logs);
  part.append(class_logs);
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
  finite_logits(model, images);
}

}  // namespace passband
