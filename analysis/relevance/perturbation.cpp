// Perturbation curves.
#include "analysis/relevance/perturbation.h"

#include <algorithm>
#include <numeric>

#include "analysis/study/finite.h"
#include "analysis/study/host.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

std::vector<int64_t> order_of(const RelevanceMaps& maps, int64_t picture,
                              bool most_relevant_first) {
  const int64_t cells = maps.height * maps.width;
  const double* map = &maps.values[static_cast<size_t>(picture * cells)];
  std::vector<int64_t> order(static_cast<size_t>(cells));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    return most_relevant_first ? map[a] > map[b] : map[a] < map[b];
  });
  return order;
}

// Sets a cell of an image (side x side x 3) to 0.
template <class T> void hide(T* image, int64_t side, const RelevanceMaps& maps, int64_t cell) {
  const int64_t high = side / maps.height, wide = side / maps.width;
  for (int64_t y = cell / maps.width * high; y < (cell / maps.width + 1) * high; ++y)
    std::fill_n(image + (y * side + cell % maps.width * wide) * 3, wide * 3, T{0});
}

}  // namespace

std::vector<std::vector<double>> perturbation_curves(const Model& model, const Tensor& images,
                                                     const std::vector<int64_t>& classes,
                                                     const RelevanceMaps& maps,
                                                     bool most_relevant_first) {
  NoGrad no_grad;
  const ContextGuard mode({.training = false});
  const int64_t count = images.size(0), side = images.size(1), cells = maps.height * maps.width;
  Tensor hidden = on_host(images) + 0.0;
  std::vector<std::vector<int64_t>> orders;
  for (int64_t n = 0; n < count; ++n) orders.push_back(order_of(maps, n, most_relevant_first));
  std::vector<std::vector<double>> curves(static_cast<size_t>(count));
  int64_t done = 0;
  for (int step = 0; step < kPerturbationSteps; ++step) {
    const int64_t until = step * cells / kPerturbationSteps;
    for (int64_t n = 0; n < count; ++n)
      for (int64_t k = done; k < until; ++k)
        hide(hidden.data<float>() + n * side * side * 3, side, maps,
             orders[static_cast<size_t>(n)][static_cast<size_t>(k)]);
    done = until;
    const std::vector<double> shares =
        softmax(finite_logits(model, hidden.to(model.device()))).values();
    for (int64_t n = 0; n < count; ++n)
      curves[static_cast<size_t>(n)].push_back(shares[static_cast<size_t>(
          n * model.options().classes + classes[static_cast<size_t>(n)])]);
  }
  return curves;
}

std::vector<double> perturbation_curve(const Model& model, const Tensor& images,
                                       const std::vector<int64_t>& classes,
                                       const RelevanceMaps& maps, bool most_relevant_first) {
  std::vector<double> mean(kPerturbationSteps);
  const auto curves = perturbation_curves(model, images, classes, maps, most_relevant_first);
  for (const std::vector<double>& curve : curves)
    for (size_t step = 0; step < mean.size(); ++step)
      mean[step] += curve[step] / static_cast<double>(curves.size());
  return mean;
}

}  // namespace passband
