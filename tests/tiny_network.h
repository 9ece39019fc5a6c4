// A network that is a function, and pictures that are given: whole analyses with known answers.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "analysis/registry.h"
#include "models/model.h"
#include "tensor/core/random.h"
#include "tensor/ops/conv.h"

namespace passband::testing {

// images (N, size, size, 3) -> logits (N, classes), tapping what it wants on the way.
class FunctionModel final : public Model {
 public:
  using Function = std::function<Tensor(const Tensor&)>;

  FunctionModel(int64_t size, int64_t classes, Function function) : function_(std::move(function)) {
    name_ = family_ = "function";
    options_ = {.classes = classes, .image_size = size};
    Scope(store_).parameter("unused", {1}, Init::constant(0));
    store_.build(0);
  }

 private:
  Tensor forward(const Tensor& images) const override { return function_(images); }
  Function function_;
};

inline Subject subject(const std::string& label, int64_t size, int64_t classes,
                       FunctionModel::Function function) {
  return {label, std::make_shared<FunctionModel>(size, classes, std::move(function)), label};
}

// Shows `x` under "`layer`.NAME", as a block of `kind` would.
inline Tensor show(const std::string& layer, const Tensor& x, BlockKind kind = BlockKind::conv,
                   const std::string& name = "out") {
  ScopeGuard guard(layer);
  TapSite site{.kind = kind, .height = x.size(1), .width = x.size(2)};
  return tap(name, x, site);
}

// The mean over k x k positions, each channel by itself, zeros outside; k odd.
inline Tensor box_blur(const Tensor& x, int64_t k) {
  const int64_t channels = x.size(3);
  const Tensor weight =
      Tensor::full({channels, k, k, 1}, 1.0 / static_cast<double>(k * k), x.dtype());
  return conv2d(x, weight, {}, {.padding = k / 2, .groups = channels});
}

// `count` black pictures with one white pixel in the middle, (size / 2, size / 2); a network sees 0
// and 1.
inline Dataset impulse_pictures(int64_t count, int64_t size, int64_t classes) {
  Dataset data{.name = "impulses", .split = "test", .count = count, .height = size, .width = size};
  data.mean = {0, 0, 0};
  data.std = {1, 1, 1};
  for (int64_t k = 0; k < classes; ++k) data.classes.push_back("class" + std::to_string(k));
  data.images.assign(static_cast<size_t>(count * data.image_bytes()), 0);
  for (int64_t i = 0; i < count; ++i) {
    data.labels.push_back(static_cast<int32_t>(i % classes));
    const int64_t middle = i * data.image_bytes() + 3 * ((size / 2) * size + size / 2);
    for (int64_t c = 0; c < 3; ++c) data.images[static_cast<size_t>(middle + c)] = 255;
  }
  return data;
}

// Runs the analysis `name` as the program does, with `settings` ("cka.batch" -> "64").
inline Section run_named(const std::string& name, std::vector<Subject> subjects,
                         const Dataset& data,
                         const std::map<std::string, std::string>& settings = {},
                         int64_t images = 0) {
  AnalysisInput input;
  input.subjects = std::move(subjects);
  input.data = input.train = &data;
  input.images = images;
  const Analysis& analysis = find_analysis(name);
  return run_analysis(analysis, with_settings(std::move(input), analysis, settings));
}

}  // namespace passband::testing
