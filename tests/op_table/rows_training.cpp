// Rows of what runs once a training step: optimisers on the flat vector, batches from stored
// pictures. The tensors that an optimiser changes come back in one vector.
#include <algorithm>

#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/training/make_batch.h"
#include "tensor/ops/training/optimizer.h"
#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

constexpr int kSteps = 3;
constexpr double kMaxNorm = 0.5, kAverageDecay = 0.75;

Tensor copy_of(const Tensor& x) { return x + 0.0; }

// Weight decay for two of three parameters.
double decays(int64_t i) { return i % 3 == 0 ? 0.0 : 1.0; }

Tensor decay_mask_for(const Tensor& values) {
  std::vector<double> mask;
  for (int64_t i = 0; i < values.numel(); ++i) mask.push_back(decays(i));
  return Tensor::from(mask, values.shape(), DType::f32, values.device());
}

// What a row returns: the changed tensors, then how far the bf16 copy is from the values rounded,
// which is 0.
Tensor changed(const Tensors& tensors, const Tensor& half) {
  const Tensor rounded = cast(cast(tensors[0], DType::bf16), tensors[0].dtype());
  Tensors parts = tensors;
  parts.push_back(rounded - cast(half, tensors[0].dtype()));
  return concat(parts, 0);
}

struct Extras {
  explicit Extras(const Tensor& average)
      : average(copy_of(average)),
        half(Tensor::zeros(average.shape(), DType::bf16, average.device())) {}
  StepExtras with_scale_of(const Tensor& gradients) const {
    return {clip_scale(gradients, kMaxNorm), average, kAverageDecay, half};
  }
  Tensor average, half;
};

// Inputs: values, gradients, average, and what the state begins with: the momentum, or the root of
// the second moment.
Tensor sgd(const Tensors& x) {
  const Tensor values = copy_of(x[0]), momentum = copy_of(x[3]), mask = decay_mask_for(values);
  const Extras extras(x[2]);
  for (int step = 0; step < kSteps; ++step)
    sgd_step(values, momentum, x[1], mask,
             {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.05, .nesterov = true},
             extras.with_scale_of(x[1]));
  return changed({values, momentum, extras.average}, extras.half);
}

Tensor adamw(const Tensors& x) {
  const Tensor values = copy_of(x[0]), first = Tensor::zeros_like(values), second = square(x[3]),
               mask = decay_mask_for(values);
  const Extras extras(x[2]);
  for (int step = 1; step <= kSteps; ++step)
    adamw_step(values, first, second, x[1], mask, {.lr = 0.1, .weight_decay = 0.05, .step = step},
               extras.with_scale_of(x[1]));
  return changed({values, first, second, extras.average}, extras.half);
}

double clipping(const Array& gradients) {
  double squares = 0;
  for (const double g : gradients.values) squares += g * g;
  return std::min(1.0, kMaxNorm / (std::sqrt(squares) + 1e-6));
}

Values joined(const std::vector<Values>& parts) {
  Values all;
  for (const Values& part : parts) all.insert(all.end(), part.begin(), part.end());
  all.resize(all.size() + parts[0].size());
  return all;
}

Values sgd_reference(const Arrays& x) {
  Values w = x[0].values, m = x[3].values, average = x[2].values;
  const double scale = clipping(x[1]);
  for (int step = 0; step < kSteps; ++step) {
    for (size_t i = 0; i < w.size(); ++i) {
      const double g = scale * x[1].values[i] + 0.05 * decays(static_cast<int64_t>(i)) * w[i];
      m[i] = 0.9 * m[i] + g;
      w[i] -= 0.1 * (g + 0.9 * m[i]);
      average[i] = kAverageDecay * average[i] + (1 - kAverageDecay) * w[i];
    }
  }
  return joined({w, m, average});
}

Values adamw_reference(const Arrays& x) {
  Values w = x[0].values, first(w.size()), second = x[3].values, average = x[2].values;
  for (double& value : second) value *= value;
  const double scale = clipping(x[1]);
  for (int step = 1; step <= kSteps; ++step) {
    for (size_t i = 0; i < w.size(); ++i) {
      const double g = scale * x[1].values[i];
      first[i] = 0.9 * first[i] + 0.1 * g;
      second[i] = 0.999 * second[i] + 0.001 * g * g;
      const double mean = first[i] / (1 - std::pow(0.9, step)),
                   square = second[i] / (1 - std::pow(0.999, step));
      w[i] -= 0.1 * 0.05 * decays(static_cast<int64_t>(i)) * w[i];
      w[i] -= 0.1 * mean / (std::sqrt(square) + 1e-8);
      average[i] = kAverageDecay * average[i] + (1 - kAverageDecay) * w[i];
    }
  }
  return joined({w, first, second, average});
}

Row optimizer_row(const char* name, Tensor (*op)(const Tensors&),
                  Values (*reference)(const Arrays&)) {
  std::vector<Shapes> cases;
  for (const int64_t n : {1, 37, 9001}) cases.push_back({{n}, {n}, {n}, {n}});
  return {.name = name,
          .op = op,
          .cases = cases,
          .reference = reference,
          .tolerance = 16,
          .bf16 = false,
          .differentiable = false};
}

const Register optimizers({
    optimizer_row("sgd_step", sgd, sgd_reference),
    optimizer_row("adamw_step", adamw, adamw_reference),
});

// Three pictures, which the numbers of the input become without ambiguity (Domain::distinct).
constexpr int64_t kPictures = 3, kBatch = 5;
const std::vector<double> kIndices = {2, 0, 1, 2, 2};
constexpr Normalisation kNormal{{0.4f, 0.5f, 0.6f}, {0.2f, 0.25f, 0.3f}};
constexpr RandomKey kKey{3, 1, 4};

Tensor batch_of(const Tensor& x, const CropOptions& crop, const Mixing& mixing) {
  const Tensor pixels = cast(clamp(mul(cast(x, DType::f32), 20), 0, 255), DType::u8);
  Tensor batch = Tensor::empty({kBatch, crop.size, crop.size, 3}, x.dtype(), x.device());
  make_batch(batch, pixels, Tensor::from(kIndices, {kBatch}, DType::i32, x.device()), crop, kNormal,
             kKey, mixing);
  return batch;
}

// Channel c of pixel (y, x) of batch entry i before mixing.
double pixel(const Array& pictures, const CropOptions& options, size_t i, int64_t y, int64_t x,
             int64_t c) {
  const auto index = static_cast<int64_t>(kIndices[i]);
  const Crop crop = draw_crop(options, kKey, index);
  if (crop.cuts(options, y, x)) return 0;
  int64_t row = crop.top + y, column = crop.left + (crop.flipped ? options.size - 1 - x : x);
  const auto fold = [](int64_t at, int64_t n) {
    return at < 0 ? -at : at >= n ? 2 * n - 2 - at : at;
  };
  const int64_t height = options.height, width = options.width;
  const bool inside = row >= 0 && row < height && column >= 0 && column < width;
  row = fold(row, height);
  column = fold(column, width);
  const double stored =
      std::clamp(pictures[((index * height + row) * width + column) * 3 + c] * 20, 0.0, 255.0);
  const double value = inside || options.reflect ? std::trunc(stored) / 255 : 0;
  const auto channel = static_cast<size_t>(c);
  const double normal = (value - static_cast<double>(kNormal.mean[channel])) /
                        static_cast<double>(kNormal.std[channel]);
  return normal * static_cast<double>(crop.gain) + static_cast<double>(crop.shift);
}

Row batch_row(const char* name, const CropOptions& crop, const Mixing& mixing) {
  return {.name = name,
          .op = [=](const Tensors& x) { return batch_of(x[0], crop, mixing); },
          .cases = {{{kPictures, crop.height, crop.width, 3}}},
          .reference =
              [=](const Arrays& x) {
                Values batch;
                for (size_t i = 0; i < kIndices.size(); ++i)
                  for (int64_t at = 0; at < crop.size * crop.size * 3; ++at) {
                    const int64_t row = at / 3 / crop.size, column = at / 3 % crop.size, c = at % 3;
                    const double own = pixel(x[0], crop, i, row, column, c),
                                 other = pixel(x[0], crop, kIndices.size() - 1 - i, row, column, c);
                    const bool pasted = row >= mixing.top && row < mixing.bottom &&
                                        column >= mixing.left && column < mixing.right;
                    batch.push_back(pasted ? other : mixing.own * own + (1 - mixing.own) * other);
                  }
                return batch;
              },
          .inputs = {{Domain::distinct}},
          .differentiable = false};
}

const Register batches({
    batch_row("make_batch", {7, 6, 5}, {}),
    batch_row("make_batch, padded, flipped, cut out",
              {.height = 6, .width = 6, .size = 6, .pad = 2, .flip = 0.5f, .cutout = 3}, {}),
    batch_row("make_batch, flipped in turn, brighter and of other contrast",
              {.height = 6,
               .width = 6,
               .size = 6,
               .pad = 2,
               .alternating_flip = true,
               .brightness = 0.3f,
               .contrast = 0.5f,
               .cutout = 2},
              {.own = 0.3}),
    batch_row("make_batch, reflected, mixup", {6, 6, 6, 3, true, 0.5f}, {.own = 0.3}),
    batch_row("make_batch, cutmix", {6, 7, 4}, {.top = 1, .bottom = 4, .left = 0, .right = 2}),
});

}  // namespace
}  // namespace passband::op_table
