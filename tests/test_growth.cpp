// Data scale: the share of a data set, and CKA of corresponding layers.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "analysis/similarity/cka.h"
#include "analysis/similarity/growth.h"
#include "data/subset.h"
#include "tensor/core/error.h"
#include "tensor/core/random.h"
#include "tensor/ops/shape.h"

using namespace passband;

namespace {

Tensor noise(int64_t n, int64_t p, uint64_t site) {
  Tensor x = Tensor::empty({n, p});
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data<float>()[i] = random_normal({3, 0, site}, static_cast<uint64_t>(i));
  return x;
}

Tensor kernel_of(const Tensor& features) {
  bool dead = false;
  return u_centred_gram(features, dead);
}

// Pictures that show their own index.
Dataset numbered(int64_t count, int64_t classes) {
  Dataset data{.name = "numbered", .split = "train", .count = count, .height = 1, .width = 1};
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < 3; ++c) data.images.push_back(static_cast<uint8_t>(i));
    data.labels.push_back(static_cast<int32_t>(i * i % classes));
  }
  for (int64_t k = 0; k < classes; ++k) data.classes.push_back(std::to_string(k));
  return data;
}

std::set<int> shown(const Dataset& data) {
  std::set<int> result;
  for (int64_t i = 0; i < data.count; ++i) result.insert(data.image(i)[0]);
  return result;
}

}  // namespace

TEST_CASE("CKA of corresponding layers is the diagonal of the map between two networks") {
  const int64_t layers = 3;
  CorrespondingCka sums(2, layers);
  MinibatchCka map(layers, layers);
  for (uint64_t batch = 0; batch < 4; ++batch) {
    std::vector<std::vector<Tensor>> kernels(3);
    std::vector<Tensor> rows, columns;
    for (uint64_t layer = 0; layer < 3; ++layer) {
      const Tensor own = noise(20, 6, 100 * batch + layer),
                   shared = noise(20, 6, 100 * batch + 50 + layer);
      kernels[0].push_back(kernel_of(own));
      kernels[1].push_back(kernel_of(concat({own, shared}, 1)));
      kernels[2].push_back(kernel_of(own));
      rows.push_back(reshape(kernels[0].back(), Shape{1, 400}));
      columns.push_back(reshape(kernels[1].back(), Shape{1, 400}));
    }
    sums.add(kernels);
    map.add(concat(rows, 0), concat(columns, 0));
  }
  const auto values = sums.values();
  const std::vector<double> matrix = map.matrix();
  for (size_t layer = 0; layer < 3; ++layer) {
    CHECK(values[0][layer] == doctest::Approx(matrix[layer * 3 + layer]).epsilon(1e-9));
    CHECK(values[1][layer] == doctest::Approx(1));
  }
}

TEST_CASE("networks of different depth are refused, dead layers are no number") {
  CorrespondingCka sums(1, 1);
  const Tensor k = kernel_of(noise(8, 4, 1));
  CHECK_THROWS_AS(sums.add({{k}, {k, k}}), Error);
  sums.add({{k}, {Tensor::zeros({64}, DType::f64)}});
  CHECK(std::isnan(sums.values()[0][0]));
}

TEST_CASE("a share of a data set takes the same share of every class") {
  const Dataset all = numbered(200, 5);
  std::vector<int64_t> of_class(5), of_part(5);
  const Dataset part = subset(all, 0.1);
  for (const int32_t label : all.labels) ++of_class[static_cast<size_t>(label)];
  for (const int32_t label : part.labels) ++of_part[static_cast<size_t>(label)];
  for (size_t k = 0; k < 5; ++k)
    CHECK(of_part[k] ==
          static_cast<int64_t>(std::ceil(static_cast<double>(of_class[k]) / 10 - 1e-9)));
  for (int64_t i = 0; i < part.count; ++i) {
    const int shown_number = part.image(i)[0];
    CHECK(part.labels[static_cast<size_t>(i)] == shown_number * shown_number % 5);
  }
}

TEST_CASE("smaller shares are contained in larger ones, and all of it is all of it") {
  const Dataset all = numbered(200, 5);
  const std::set<int> little = shown(subset(all, 0.03)), more = shown(subset(all, 0.3));
  CHECK(little.size() < more.size());
  for (const int picture : little) CHECK(more.count(picture) == 1);
  CHECK(subset(all, 1).images == all.images);
}

TEST_CASE("a share outside (0, 1] is refused") {
  for (const double fraction : {0.0, -1.0, 1.5, std::nan("")})
    CHECK_THROWS_AS(subset(numbered(10, 2), fraction), UsageError);
}
