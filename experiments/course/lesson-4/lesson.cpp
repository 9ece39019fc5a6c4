// Lesson 4: the weights by which convolution and attention make one place of two pictures. The page
// is README.md.
#include <cmath>
#include <cstdio>

#include <passband/passband.h>

using namespace passband;

namespace {

constexpr int64_t kSide = 8, kRow = 4, kColumn = 2, kPlace = kRow * kSide + kColumn;

// A picture of 32 x 32 as 8 x 8 tokens: mean colours, less the mean of all. (64, 3)
Tensor tokens_of(const Dataset& data, int64_t index) {
  const PictureBytes picture = data.image(index);
  const std::vector<double> bytes(picture.data(), picture.data() + data.image_bytes());
  const Tensor pixels = Tensor::from(bytes, {kSide, 4, kSide, 4, 3}, DType::f64) / 255.0;
  const Tensor tokens = reshape(mean(pixels, {1, 3}), {kSide * kSide, 3});
  return tokens - mean(tokens, {0}, true);
}

// The row of the place: 3 x 3 weights around it, of an operator that finds edges.
std::vector<double> convolution_row() {
  std::vector<double> row(kSide * kSide);
  for (int64_t dy = -1; dy <= 1; ++dy)
    for (int64_t dx = -1; dx <= 1; ++dx)
      row[static_cast<size_t>((kRow + dy) * kSide + kColumn + dx)] = dy || dx ? -0.125 : 1;
  return row;
}

// The row of the place: tokens of like colour.
std::vector<double> attention_row(const Tensor& tokens) {
  const Tensor scores = matmul(tokens, tokens, {.transpose_b = true}) * 40.0;
  return slice(softmax(scores), 0, kPlace, 1).values();
}

void describe(const char* name, const std::vector<double>& row) {
  double sum = 0, total = 0, distance = 0;
  int negative = 0, far = 0;
  for (int64_t i = 0; i < kSide * kSide; ++i) {
    const double weight = row[static_cast<size_t>(i)];
    const double away = std::hypot(i / kSide - kRow, i % kSide - kColumn);
    sum += weight;
    total += std::abs(weight);
    distance += std::abs(weight) * away;
    negative += weight < 0;
    far += weight != 0 && away > 1.5;
  }
  std::printf(
      "  %-12s adds up to %5.3f, %2d weights negative, %2d beyond its neighbours, mean"
      " distance %.2f\n",
      name, sum, negative, far, distance / total);
}

void draw(const std::vector<double>& row) {
  double largest = 0;
  for (const double weight : row) largest = std::max(largest, weight);
  for (int64_t y = 0; y < kSide; ++y) {
    std::printf("    ");
    for (int64_t x = 0; x < kSide; ++x) {
      const double weight = row[static_cast<size_t>(y * kSide + x)];
      const bool here = y == kRow && x == kColumn;
      std::printf(" %c", here                   ? '@'
                         : weight > largest / 2 ? 'O'
                         : weight > largest / 8 ? 'o'
                                                : '.');
    }
    std::printf("\n");
  }
}

}  // namespace

int main() {
  const DataSplits data =
      make_shapes({.size = 32, .classes = 4, .train_count = 8, .test_count = 8, .conflict = 0});
  std::vector<std::vector<double>> attention;
  for (const int64_t index : {2, 3}) {
    const Tensor tokens = tokens_of(data.test, index);
    attention.push_back(attention_row(tokens));
    const auto label = static_cast<size_t>(data.test.labels[static_cast<size_t>(index)]);
    std::printf("a %s\n", data.test.classes[label].c_str());
    describe("convolution", convolution_row());
    describe("attention", attention.back());
    draw(attention.back());
  }
  double change = 0;
  for (size_t i = 0; i < attention[0].size(); ++i)
    change += std::abs(attention[0][i] - attention[1][i]) / 2;
  std::printf(
      "from picture to picture the convolution's weights stay, of attention's %.0f %% move\n",
      100 * change);
}
