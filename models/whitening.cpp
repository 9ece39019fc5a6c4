// Whitening of a network's first layer.
#include "models/whitening.h"

#include <algorithm>
#include <cmath>

#include "data/augment.h"
#include "data/loader.h"
#include "tensor/autograd/node.h"
#include "tensor/core/text.h"
#include "tensor/ops/decompositions.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"

namespace passband {
namespace {

constexpr int64_t kPictures = 5000;     // as the records
constexpr double kEps = 5e-4;           // on eigenvalues, likewise
constexpr double kMostProducts = 2e10;  // of pairs of values, seconds of work

// Places of a patch along one side.
struct PatchGrid {
  int64_t kernel, side, step;
  int64_t places() const { return (side - kernel) / step + 1; }
  int64_t values() const { return 3 * kernel * kernel; }
};

PatchGrid patch_grid(int64_t kernel, int64_t side, int64_t pictures) {
  PatchGrid grid{kernel, side, 1};
  const auto products = [&] {
    const auto n = static_cast<double>(grid.values()), at = static_cast<double>(grid.places());
    return static_cast<double>(pictures) * at * at * n * n;
  };
  while (products() > kMostProducts && grid.places() > 1) ++grid.step;
  return grid;
}

// (places^2, n) of one picture (side, side, 3).
void copy_patches(const float* picture, const PatchGrid& grid, float* out) {
  const int64_t row = grid.kernel * 3;
  for (int64_t y = 0; y < grid.places(); ++y)
    for (int64_t x = 0; x < grid.places(); ++x)
      for (int64_t i = 0; i < grid.kernel; ++i, out += row)
        std::copy_n(picture + ((y * grid.step + i) * grid.side + x * grid.step) * 3, row, out);
}

// v_i / sqrt(eigenvalue_i + eps) of a symmetric matrix (n, n), largest eigenvalue first.
std::vector<std::vector<double>> whitened_directions(const std::vector<double>& matrix, int64_t n) {
  const SymmetricEigen found = symmetric_eigen(Tensor::from(matrix, {n, n}, DType::f64));
  std::vector<std::vector<double>> directions;
  for (int64_t i = n - 1; i >= 0; --i) {
    const double scale = 1 / std::sqrt(std::max(found.values[i], 0.0) + kEps);
    directions.emplace_back();
    for (int64_t row = 0; row < n; ++row)
      directions.back().push_back(scale * found.vectors.data<double>()[row * n + i]);
  }
  return directions;
}

// Combinations of unit length of the whitened directions, for channels beyond both signs of them.
std::vector<double> random_mixture(const std::vector<std::vector<double>>& whitened, uint64_t seed,
                                   size_t channel) {
  RandomSequence random({seed, channel, site_of("whitening.mixture")});
  std::vector<double> filter(whitened.front().size());
  double squares = 0;
  for (const std::vector<double>& direction : whitened) {
    const double share = random.normal();
    squares += share * share;
    for (size_t i = 0; i < filter.size(); ++i) filter[i] += share * direction[i];
  }
  for (double& value : filter) value /= std::sqrt(squares);
  return filter;
}

bool takes_pictures(const Parameter& p) {
  return p.layout == Layout::conv && p.shape.rank() == 4 && p.shape[3] == 3;
}

}  // namespace

ParameterRef first_convolution(const Model& model) {
  for (const ParameterRef& p : model.store().parameters())
    if (takes_pictures(*p)) return p;
  throw UsageError(
      concat_text("whiten: ", model.name(), " has no convolution or patch embedding of pictures"));
}

ParameterRef bias_of_first_convolution(const Model& model) {
  std::string name = first_convolution(model)->name;
  name.replace(name.rfind('.') + 1, std::string::npos, "bias");
  for (const ParameterRef& p : model.store().parameters())
    if (p->name == name) return p;
  return nullptr;
}

std::vector<double> patch_covariance(const Dataset& train, int64_t kernel, int64_t image_size,
                                     uint64_t seed) {
  constexpr int64_t kChunk = 50;  // pictures at a time
  std::vector<int64_t> indices = epoch_order(train.count, seed, 0);
  indices.resize(static_cast<size_t>(std::min(train.count, kPictures)));
  const auto count = static_cast<int64_t>(indices.size());
  const PatchGrid grid = patch_grid(kernel, image_size, count);
  const int64_t n = grid.values(), places = grid.places() * grid.places();
  std::vector<double> sums(static_cast<size_t>(n * n));
  NoGrad no_graph;
  for (int64_t first = 0; first < count; first += kChunk) {
    const int64_t here = std::min(kChunk, count - first), values = image_size * image_size * 3;
    std::vector<float> pictures(static_cast<size_t>(here * values));
    make_eval_batch(train, std::span(indices).subspan(first, here), image_size, pictures.data());
    Tensor patches = Tensor::empty({here * places, n});
    for (int64_t i = 0; i < here; ++i)
      copy_patches(&pictures[i * values], grid, patches.data<float>() + i * places * n);
    const std::vector<double> products = matmul(patches, patches, {.transpose_a = true}).values();
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += products[i];
  }
  for (double& sum : sums) sum /= static_cast<double>(count * places);
  return sums;
}

void whiten_first_convolution(Model& model, const Dataset& train, uint64_t seed) {
  const ParameterRef weight = first_convolution(model), bias = bias_of_first_convolution(model);
  const int64_t kernel = weight->shape[1], n = 3 * kernel * kernel, channels = weight->shape[0];
  const int64_t side = model.options().image_size;
  const std::vector<std::vector<double>> whitened =
      whitened_directions(patch_covariance(train, kernel, side, seed), n);
  std::vector<double> filters;
  for (int64_t channel = 0; channel < channels; ++channel) {
    std::vector<double> filter =
        channel < 2 * n ? whitened[channel % n] : random_mixture(whitened, seed, channel);
    for (const double value : filter) filters.push_back(channel / n == 1 ? -value : value);
  }
  const Tensor value = weight->value.detach();
  copy_(value, Tensor::from(filters, weight->shape, value.dtype(), value.device()));
  if (bias) fill_(bias->value.detach(), 0);
}

}  // namespace passband
