// Checks the exercises of lesson 4: a row times the map must be what the operator gives there.
#include "experiments/course/lesson-4/exercises.h"

#include <cmath>
#include <numeric>

#include "experiments/course/check.h"

using namespace passband;

namespace {

double product(const std::vector<double>& row, const std::vector<double>& x) {
  return row.size() == x.size() ? std::inner_product(row.begin(), row.end(), x.begin(), 0.0) : NAN;
}

std::string check_convolution() {
  Generator random(1);
  constexpr int kSide = 5;
  const Tensor x = Tensor::randn({1, kSide, kSide, 1}, random.next(), DType::f64);
  const std::array<std::array<double, 3>, 3> w{{{1, 2, 3}, {-4, 5, -6}, {7, 8, 9}}};
  const Tensor filter = Tensor::from({1, 2, 3, -4, 5, -6, 7, 8, 9}, {1, 3, 3, 1}, DType::f64);
  const std::vector<double> want = conv2d(x, filter, {}, {.padding = 1}).values();
  bool inside = true, edge = true;
  for (int i = 0; i < kSide * kSide; ++i) {
    const int row = i / kSide, column = i % kSide;
    const double given = product(convolution_row(w, kSide, row, column), x.values());
    const bool right = std::abs(given - want[static_cast<size_t>(i)]) < 1e-9;
    const bool inner = row > 0 && row < kSide - 1 && column > 0 && column < kSide - 1;
    (inner ? inside : edge) = (inner ? inside : edge) && right;
  }
  if (inside && edge) return "";
  if (inside) return "inside the map it is right; at its edge some of the nine places do not exist";
  return "the row has nine weights: weights[dy + 1][dx + 1] at place (row + dy, column + dx)";
}

std::string check_attention() {
  Generator random(2);
  const int64_t tokens = 7, depth = 4;
  const Tensor q = Tensor::randn({tokens, depth}, random.next(), DType::f64);
  const Tensor k = Tensor::randn({tokens, depth}, random.next(), DType::f64);
  const Tensor v = Tensor::randn({tokens, 1}, random.next(), DType::f64);
  const auto four = [](const Tensor& x) { return reshape(x, {1, 1, x.size(0), x.size(1)}); };
  const std::vector<double> want = scaled_dot_product_attention(four(q), four(k), four(v)).values();
  for (int i = 0; i < tokens; ++i) {
    const std::vector<double> row = attention_row(q, k, i);
    const double sum = std::accumulate(row.begin(), row.end(), 0.0);
    if (std::abs(product(row, v.values()) - want[static_cast<size_t>(i)]) < 1e-6) continue;
    if (std::abs(sum - 1) > 1e-6) return "the weights of a row add up to 1";
    return "the weights add up to 1, but are not softmax(q k^T / sqrt(d)) of this query";
  }
  return "";
}

}  // namespace

int main() { return course::check_exercises({check_convolution, check_attention}); }
