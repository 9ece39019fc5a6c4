// Lesson 2: a 3 x 3 convolution by loops, as one matrix product, and with fewer multiplications.
// The page is README.md.
#include <array>
#include <cstdio>
#include <vector>

#include <passband/passband.h>

using namespace passband;

namespace {

constexpr int64_t kSide = 16, kIn = 8, kOut = 8;
int64_t multiplications = 0;

double times(double a, double b) {
  ++multiplications;
  return a * b;
}

// Values of a picture (kSide, kSide, kIn), zero outside of it.
struct Picture {
  std::vector<double> values;
  double at(int64_t y, int64_t x, int64_t c) const {
    if (y < 0 || y >= kSide || x < 0 || x >= kSide) return 0;
    return values[static_cast<size_t>((y * kSide + x) * kIn + c)];
  }
};

// Weights (kOut, 3, 3, kIn).
struct Filters {
  std::vector<double> values;
  double at(int64_t o, int64_t dy, int64_t dx, int64_t c) const {
    return values[static_cast<size_t>(((o * 3 + dy) * 3 + dx) * kIn + c)];
  }
};

std::vector<double> by_loops(const Picture& x, const Filters& w) {
  std::vector<double> out;
  for (int64_t row = 0; row < kSide; ++row)
    for (int64_t column = 0; column < kSide; ++column)
      for (int64_t o = 0; o < kOut; ++o) {
        double sum = 0;
        for (int64_t dy = 0; dy < 3; ++dy)
          for (int64_t dx = 0; dx < 3; ++dx)
            for (int64_t c = 0; c < kIn; ++c)
              sum += times(x.at(row + dy - 1, column + dx - 1, c), w.at(o, dy, dx, c));
        out.push_back(sum);
      }
  return out;
}

// One row of the matrix for each place: the 3 x 3 x kIn values that its window holds.
std::vector<double> windows(const Picture& x) {
  std::vector<double> matrix;
  for (int64_t row = 0; row < kSide; ++row)
    for (int64_t column = 0; column < kSide; ++column)
      for (int64_t dy = 0; dy < 3; ++dy)
        for (int64_t dx = 0; dx < 3; ++dx)
          for (int64_t c = 0; c < kIn; ++c)
            matrix.push_back(x.at(row + dy - 1, column + dx - 1, c));
  return matrix;
}

std::vector<double> by_matrix(const Picture& x, const Filters& w) {
  const Tensor a = Tensor::from(windows(x), {kSide * kSide, 9 * kIn}, DType::f64);
  const Tensor b = Tensor::from(w.values, {kOut, 9 * kIn}, DType::f64);
  multiplications += a.numel() * kOut;
  return matmul(a, b, {.transpose_b = true}).values();
}

using Line = std::array<double, 4>;
using Tile = std::array<Line, 4>;

// The transforms of F(2, 3) along one line: of four inputs, of three weights, to two results.
Line of_inputs(const Line& d) { return {d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]}; }
Line of_weights(double g0, double g1, double g2) {
  return {g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2};
}
std::array<double, 2> to_results(const Line& m) { return {m[0] + m[1] + m[2], m[1] - m[2] - m[3]}; }

Tile transposed(const Tile& t) {
  Tile turned;
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < 4; ++j) turned[j][i] = t[i][j];
  return turned;
}

Tile of_input_tile(const Picture& x, int64_t row, int64_t column, int64_t c) {
  Tile tile;
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 4; ++j)
      tile[static_cast<size_t>(i)][static_cast<size_t>(j)] = x.at(row + i - 1, column + j - 1, c);
  for (int axis = 0; axis < 2; ++axis) {
    for (Line& line : tile) line = of_inputs(line);
    tile = transposed(tile);
  }
  return tile;
}

Tile of_filter(const Filters& w, int64_t o, int64_t c) {
  Tile rows{}, tile;
  for (int64_t dy = 0; dy < 3; ++dy)
    rows[static_cast<size_t>(dy)] =
        of_weights(w.at(o, dy, 0, c), w.at(o, dy, 1, c), w.at(o, dy, 2, c));
  rows = transposed(rows);
  for (size_t j = 0; j < 4; ++j) tile[j] = of_weights(rows[j][0], rows[j][1], rows[j][2]);
  return transposed(tile);
}

// Each 2 x 2 of results from a 4 x 4 of inputs: 16 multiplications instead of 36.
std::vector<double> by_winograd(const Picture& x, const Filters& w) {
  std::vector<double> out(static_cast<size_t>(kSide * kSide * kOut));
  for (int64_t row = 0; row < kSide; row += 2)
    for (int64_t column = 0; column < kSide; column += 2)
      for (int64_t o = 0; o < kOut; ++o) {
        Tile sum{};
        for (int64_t c = 0; c < kIn; ++c) {
          const Tile a = of_input_tile(x, row, column, c), b = of_filter(w, o, c);
          for (size_t i = 0; i < 4; ++i)
            for (size_t j = 0; j < 4; ++j) sum[i][j] += times(a[i][j], b[i][j]);
        }
        std::array<Line, 2> half{};  // along columns, then along rows
        sum = transposed(sum);
        for (size_t j = 0; j < 4; ++j)
          for (size_t i = 0; i < 2; ++i) half[i][j] = to_results(sum[j])[i];
        for (int64_t i = 0; i < 2; ++i)
          for (int64_t j = 0; j < 2; ++j)
            out[static_cast<size_t>(((row + i) * kSide + column + j) * kOut + o)] =
                to_results(half[static_cast<size_t>(i)])[static_cast<size_t>(j)];
      }
  return out;
}

}  // namespace

int main() {
  Generator random(1);
  const Tensor x = Tensor::randn({1, kSide, kSide, kIn}, random.next(), DType::f64);
  const Tensor w = Tensor::randn({kOut, 3, 3, kIn}, random.next(), DType::f64);
  const std::vector<double> expected = conv2d(x, w, {}, {.padding = 1}).values();
  const Picture picture{x.values()};
  const Filters filters{w.values()};
  std::printf("a 3 x 3 convolution of 16 x 16 places, 8 channels to 8\n");
  std::printf("way        multiplications   equals conv2d\n");
  const auto show = [&](const char* way, auto convolve) {
    multiplications = 0;
    const std::vector<double> result = convolve(picture, filters);
    double worst = 0;
    for (size_t i = 0; i < result.size(); ++i)
      worst = std::max(worst, std::abs(result[i] - expected[i]));
    std::printf("%-10s %15lld   %s\n", way, static_cast<long long>(multiplications),
                worst < 1e-11 ? "yes" : "no");
  };
  show("loops", by_loops);
  show("matrix", by_matrix);
  show("winograd", by_winograd);
  std::printf("the matrix of windows holds %zu numbers, the picture %zu\n", windows(picture).size(),
              picture.values.size());
}
