// Lesson 5: which frequencies does an operator let through? Measured with waves and with noise. The
// page is README.md.
#include <cmath>
#include <cstdio>
#include <numbers>

#include <passband/passband.h>

using namespace passband;

namespace {

constexpr int64_t kPlaces = 64, kDepth = 16;

// The amplitude of frequency f (waves in the whole line) of x (places).
double amplitude(const std::vector<double>& x, int64_t f) {
  double cosine = 0, sine = 0;
  for (int64_t i = 0; i < kPlaces; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(f * i) / kPlaces;
    cosine += x[static_cast<size_t>(i)] * std::cos(angle);
    sine += x[static_cast<size_t>(i)] * std::sin(angle);
  }
  return std::hypot(cosine, sine);
}

Tensor wave(int64_t f) {
  std::vector<double> x;
  for (int64_t i = 0; i < kPlaces; ++i)
    x.push_back(std::cos(2 * std::numbers::pi * static_cast<double>(f * i) / kPlaces));
  return Tensor::from(x, {kPlaces, 1}, DType::f64);
}

// The matrix that a convolution with these three weights is, on a line closed to a ring.
Tensor convolution(double left, double middle, double right) {
  std::vector<double> matrix(kPlaces * kPlaces);
  for (int64_t i = 0; i < kPlaces; ++i) {
    matrix[static_cast<size_t>(i * kPlaces + (i + kPlaces - 1) % kPlaces)] += left;
    matrix[static_cast<size_t>(i * kPlaces + i)] += middle;
    matrix[static_cast<size_t>(i * kPlaces + (i + 1) % kPlaces)] += right;
  }
  return Tensor::from(matrix, {kPlaces, kPlaces}, DType::f64);
}

// Attention's matrix of random tokens, their scores multiplied by `sharpness`.
Tensor attention(double sharpness) {
  Generator random(3);
  const Tensor q = Tensor::randn({kPlaces, kDepth}, random.next(), DType::f64);
  const Tensor k = Tensor::randn({kPlaces, kDepth}, random.next(), DType::f64);
  return softmax(matmul(q, k, {.transpose_b = true}) * (sharpness / std::sqrt(kDepth)));
}

// How large what comes out is, over all frequencies, for a wave of frequency f that goes in.
double gain(const Tensor& operation, int64_t f) {
  const Tensor x = wave(f), y = matmul(operation, x);
  return std::sqrt(mean(square(y)).item() / mean(square(x)).item());
}

void row(const char* name, const Tensor& operation) {
  std::printf("%-28s", name);
  for (const int64_t f : {0, 4, 8, 16, 24, 32}) std::printf(" %6.3f", gain(operation, f));
  std::printf("\n");
}

// How much of a picture's variation is left: deviation over places, after the operation and before.
double spread(const Tensor& x) { return std::sqrt(mean(square(x - mean(x, {0}, true))).item()); }

}  // namespace

int main() {
  std::printf("gain of a wave of so many periods on 64 places\n%-28s", "operator");
  for (const int f : {0, 4, 8, 16, 24, 32}) std::printf(" %6d", f);
  std::printf("\n");
  row("convolution  1/4  1/2  1/4", convolution(0.25, 0.5, 0.25));
  row("convolution -1/4  1/2 -1/4", convolution(-0.25, 0.5, -0.25));
  row("convolution -1/2   2  -1/2", convolution(-0.5, 2, -0.5));
  row("attention, uniform", attention(0));
  row("attention, random", attention(1));
  row("attention, sharp", attention(8));
  const Tensor half = 0.5 * convolution(0, 1, 0) + 0.5 * attention(1);
  row("half shortcut, half random", half);

  Generator random(5);
  const Tensor noise = Tensor::randn({kPlaces, 8}, random.next(), DType::f64);
  Tensor x = noise;
  std::printf("\nvariation left after so many layers of random attention\n");
  for (int layer = 1; layer <= 3; ++layer) {
    x = matmul(attention(1), x);
    std::printf("%d layers: %.4f\n", layer, spread(x) / spread(noise));
  }
  const std::vector<double> before = slice(noise, 1, 0, 1).values();
  const std::vector<double> after = matmul(convolution(-0.25, 0.5, -0.25), noise).values();
  std::vector<double> first;
  for (int64_t i = 0; i < kPlaces; ++i) first.push_back(after[static_cast<size_t>(8 * i)]);
  std::printf("\nnoise through -1/4 1/2 -1/4, amplitude after / before\n");
  for (const int64_t f : {4, 16, 32})
    std::printf("frequency %2lld: %.3f\n", static_cast<long long>(f),
                amplitude(first, f) / amplitude(before, f));
}
