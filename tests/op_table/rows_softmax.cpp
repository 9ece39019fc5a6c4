// Rows of softmax, the losses, random removal and the Fourier transform.
#include <algorithm>
#include <complex>

#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/dropout.h"
#include "tensor/ops/fft.h"
#include "tensor/ops/softmax.h"
#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

Values log_softmax_of(const Values& x) {
  const double best = *std::max_element(x.begin(), x.end());
  double total = 0;
  for (const double value : x) total += std::exp(value - best);
  Values y;
  for (const double value : x) y.push_back(value - best - std::log(total));
  return y;
}

Values softmax_of(const Values& x) {
  Values y = log_softmax_of(x);
  for (double& value : y) value = std::exp(value);
  return y;
}

int64_t width(const Shapes& shapes) { return shapes[0][-1]; }

// Rows of one thread, of a part of a warp, of a warp, of a block.
const std::vector<Shapes> kRows = {{{1, 1}},   {{3, 7}},   {{2, 3, 17}}, {{4, 64}},
                                   {{3, 512}}, {{2, 700}}, {{2, 5003}},  {{0, 5}}};

const Register softmaxes({
    {.name = "softmax",
     .op = [](const Tensors& x) { return softmax(x[0]); },
     .cases = kRows,
     .reference = rowwise(softmax_of),
     .gradient_tolerance = 32,
     .terms = width},
    {.name = "log_softmax",
     .op = [](const Tensors& x) { return log_softmax(x[0]); },
     .cases = kRows,
     .reference = rowwise(log_softmax_of),
     .gradient_tolerance = 32,
     .terms = width},
});

// f along one dimension.
Reference along(int dim, Values (*f)(const Values&)) {
  return [=](const Arrays& x) {
    const Shape& s = x[0].shape;
    const int64_t n = s[dim], inner = s.inner(dim);
    Values y(x[0].values.size());
    for (int64_t i = 0; i < s.outer(dim) * inner; ++i) {
      const int64_t first = i / inner * n * inner + i % inner;
      Values line;
      for (int64_t k = 0; k < n; ++k) line.push_back(x[0][first + k * inner]);
      line = f(line);
      for (int64_t k = 0; k < n; ++k)
        y[static_cast<size_t>(first + k * inner)] = line[static_cast<size_t>(k)];
    }
    return y;
  };
}

const Register softmaxes_along({
    {.name = "softmax of columns",
     .op = [](const Tensors& x) { return softmax(x[0], 0); },
     .cases = {{{5, 7}}, {{1, 3}}, {{4}}, {{3, 2, 5}}},
     .reference = along(0, softmax_of),
     .gradient_tolerance = 32,
     .terms = [](const Shapes& s) { return s[0][0]; }},
    {.name = "log_softmax of the middle",
     .op = [](const Tensors& x) { return log_softmax(x[0], 1); },
     .cases = {{{2, 6, 3}}, {{1, 37, 5}}},
     .reference = along(1, log_softmax_of),
     .gradient_tolerance = 32,
     .terms = [](const Shapes& s) { return s[0][1]; }},
});

int64_t label_of(int64_t row, int64_t classes) {
  return (7 * row + 3) % std::max<int64_t>(classes, 1);
}

Tensor labels_for(const Tensor& logits) {
  Values labels;
  for (int64_t row = 0; row < logits.size(0); ++row)
    labels.push_back(static_cast<double>(label_of(row, logits.size(1))));
  return Tensor::from(labels, {logits.size(0)}, DType::i32, logits.device());
}

// Mean over rows of -sum_k target(row, k) log_softmax_k.
Values cross_entropy_of(const Array& logits,
                        const std::function<double(int64_t, int64_t)>& target) {
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  double total = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const auto begin = logits.values.begin() + row * classes;
    const Values log_probability = log_softmax_of(Values(begin, begin + classes));
    for (int64_t k = 0; k < classes; ++k)
      total -= target(row, k) * log_probability[static_cast<size_t>(k)];
  }
  return {total / static_cast<double>(rows)};
}

Row cross_entropy_row(const char* name, double smoothing) {
  return {.name = name,
          .op = [=](const Tensors& x) { return cross_entropy(x[0], labels_for(x[0]), smoothing); },
          .cases = {{{5, 7}}, {{1, 2}}, {{3, 41}}, {{2, 1}}},
          .reference =
              [=](const Arrays& x) {
                const int64_t classes = x[0].shape[1];
                return cross_entropy_of(x[0], [=](int64_t row, int64_t k) {
                  return (k == label_of(row, classes) ? 1 - smoothing : 0) +
                         smoothing / static_cast<double>(classes);
                });
              },
          .terms = width};
}

const Register losses({
    cross_entropy_row("cross_entropy", 0),
    cross_entropy_row("cross_entropy, smoothed", 0.1),
    {.name = "soft_cross_entropy",
     .op = [](const Tensors& x) { return soft_cross_entropy(x[0], x[1]); },
     .cases = {{{5, 7}, {5, 7}}, {{1, 3}, {1, 3}}, {{2, 37}, {2, 37}}},
     .reference =
         [](const Arrays& x) {
           return cross_entropy_of(
               x[0], [&](int64_t row, int64_t k) { return x[1][row * x[1].shape[1] + k]; });
         },
     .inputs = {{Domain::normal}, {Domain::probabilities}},
     .terms = width},
});

// Every third row has the label that is ignored.
constexpr int32_t kIgnored = -100;

int64_t label_at(int64_t row, int64_t classes) {
  return row % 3 == 1 ? kIgnored : (3 * row + 2) % std::max<int64_t>(classes, 1);
}

// 0.5, 0.75, ... exact in every type.
double weight_of(int64_t k) { return 0.5 + 0.25 * static_cast<double>(k % 8); }

Tensor loss_by_options(const Tensor& logits, bool weighted, CrossEntropyOptions options) {
  Values labels, weights;
  const int64_t classes = logits.size(-1);
  for (int64_t row = 0; row < logits.shape().outer(-1); ++row)
    labels.push_back(static_cast<double>(label_at(row, classes)));
  for (int64_t k = 0; k < classes; ++k) weights.push_back(weight_of(k));
  options.ignore_index = kIgnored;
  const DType type = logits.dtype() == DType::f64 ? DType::f64 : DType::f32;
  if (weighted) options.class_weights = Tensor::from(weights, {classes}, type, logits.device());
  return cross_entropy(
      logits, Tensor::from(labels, logits.shape().without(-1), DType::i32, logits.device()),
      options);
}

// PyTorch's documentation, term by term.
Reference losses_by_options(bool weighted, double smoothing, LossReduction reduction) {
  return [=](const Arrays& x) {
    const int64_t classes = x[0].shape[-1];
    const auto weight = [=](int64_t k) { return weighted ? weight_of(k) : 1.0; };
    Values losses;
    double total = 0, divisor = 0;
    for (int64_t row = 0; row < x[0].size() / classes; ++row) {
      const auto begin = x[0].values.begin() + row * classes;
      const Values log_p = log_softmax_of(Values(begin, begin + classes));
      const int64_t label = label_at(row, classes);
      double loss = 0;
      if (label != kIgnored) {
        loss = -(1 - smoothing) * weight(label) * log_p[static_cast<size_t>(label)];
        for (int64_t k = 0; k < classes; ++k)
          loss -=
              smoothing / static_cast<double>(classes) * weight(k) * log_p[static_cast<size_t>(k)];
        divisor += weight(label);
      }
      losses.push_back(loss);
      total += loss;
    }
    if (reduction == LossReduction::none) return losses;
    return Values{reduction == LossReduction::sum ? total : total / divisor};
  };
}

Row options_row(const char* name, bool weighted, double smoothing, LossReduction reduction) {
  return {.name = std::string("cross_entropy, ") + name,
          .op =
              [=](const Tensors& x) {
                return loss_by_options(x[0], weighted,
                                       {.smoothing = smoothing, .reduction = reduction});
              },
          .cases = {{{7, 5}}, {{2, 3, 4}}, {{1, 3}}, {{3, 41}}, {{5}}},
          .reference = losses_by_options(weighted, smoothing, reduction),
          .terms = [](const Shapes& s) { return s[0].numel(); }};
}

const Register losses_with_options({
    options_row("ignored labels", false, 0, LossReduction::mean),
    options_row("weighted", true, 0, LossReduction::mean),
    options_row("weighted and smoothed", true, 0.2, LossReduction::mean),
    options_row("weighted sum", true, 0.1, LossReduction::sum),
    options_row("smoothed, not reduced", false, 0.1, LossReduction::none),
    options_row("weighted, not reduced", true, 0, LossReduction::none),
});

constexpr RandomKey kKey{.seed = 11, .step = 5, .site = 3};

Reference removal(double p, bool whole_samples) {
  return [=](const Arrays& x) {
    Values y;
    for (int64_t i = 0; i < x[0].size(); ++i) {
      const int64_t draw = whole_samples ? i / x[0].shape.inner(0) : i;
      const bool kept = random_uniform(kKey, static_cast<uint64_t>(draw)) >= static_cast<float>(p);
      y.push_back(kept ? x[0][i] / (1 - p) : 0);
    }
    return y;
  };
}

const Register removals({
    {.name = "dropout",
     .op = [](const Tensors& x) { return dropout(x[0], 0.3, kKey); },
     .cases = {{{3, 7}}, {{1}}, {{5, 67}}, {{4099}}},
     .reference = removal(0.3, false)},
    {.name = "drop_path",
     .op = [](const Tensors& x) { return drop_path(x[0], 0.4, kKey); },
     .cases = {{{9, 2, 3}}, {{1, 5}}, {{13}}},
     .reference = removal(0.4, true)},
});

enum class Part { real, imaginary, magnitude };

// The double sum, as it is written.
Reference fourier(Part part) {
  return [part](const Arrays& x) {
    const Shape& s = x[0].shape;
    const int64_t height = s[1], breadth = s[2], channels = s[3];
    Values y;
    for (int64_t i = 0; i < x[0].size(); ++i) {
      const std::vector<int64_t> at = position_of(s, i);
      std::complex<double> total = 0;
      for (int64_t h = 0; h < height; ++h)
        for (int64_t w = 0; w < breadth; ++w) {
          const double turns = static_cast<double>(at[1] * h) / static_cast<double>(height) +
                               static_cast<double>(at[2] * w) / static_cast<double>(breadth);
          total += x[0][((at[0] * height + h) * breadth + w) * channels + at[3]] *
                   std::polar(1.0, -2 * M_PI * turns);
        }
      y.push_back(part == Part::magnitude ? std::abs(total)
                  : part == Part::real    ? total.real()
                                          : total.imag());
    }
    return y;
  };
}

int64_t area(const Shapes& shapes) { return shapes[0][1] * shapes[0][2]; }

Row fourier_row(const char* name, Tensor (*op)(const Tensor&), Part part) {
  return {.name = name,
          .op = [op](const Tensors& x) { return op(x[0]); },
          .cases = {{{2, 4, 4, 3}},
                    {{1, 1, 1, 1}},
                    {{1, 5, 7, 2}},
                    {{1, 6, 1, 5}},
                    {{1, 1, 9, 1}},
                    {{1, 17, 12, 1}}},
          .reference = fourier(part),
          .terms = area};
}

const Register transforms({
    fourier_row("fft2_real", fft2_real, Part::real),
    fourier_row("fft2_imaginary", fft2_imaginary, Part::imaginary),
    fourier_row("fft2_magnitude", fft2_magnitude, Part::magnitude),
});

}  // namespace
}  // namespace passband::op_table
