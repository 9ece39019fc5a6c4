#include "analysis/explore/explorer_data.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "analysis/report/text.h"
#include "analysis/study/finite.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

using nlohmann::json;

constexpr int64_t kMostPictureBytes = 700'000;

json shape_json(const Shape& shape) {
  json out = json::array();
  for (int d = 0; d < shape.rank(); ++d) out.push_back(shape[d]);
  return out;
}

json site_json(const TapSite& site) {
  return {{"path", site.path},     {"name", site.name},   {"kind", name_of(site.kind)},
          {"height", site.height}, {"width", site.width}, {"prefix", site.prefix},
          {"window", site.window}, {"shift", site.shift}, {"patch", site.patch}};
}

// A value is its number, a constant -1 less its number, nothing null.
json input_json(const GraphInput& input) {
  switch (input.from) {
    case GraphInput::From::value: return static_cast<int64_t>(input.index);
    case GraphInput::From::constant: return -1 - static_cast<int64_t>(input.index);
    case GraphInput::From::nothing: break;
  }
  return nullptr;
}

json operation_json(const GraphOperation& operation) {
  json out = {{"op", operation.name}, {"shape", shape_json(operation.shape)}};
  for (const GraphInput& input : operation.inputs) out["in"].push_back(input_json(input));
  for (const auto& [name, numbers] : operation.numbers) out["a"][name] = numbers;
  for (const auto& [name, index] : operation.tensors) out["t"][name] = index;
  for (const TapSite& site : operation.sites) out["sites"].push_back(site_json(site));
  return out;
}

int64_t bytes_of(const GraphConstant& constant) {
  const int64_t bytes = constant.value.numel() * (is_halved(constant) ? 2 : 4);
  return (bytes + 3) / 4 * 4;
}

}  // namespace

json graph_json(const NetworkGraph& graph) {
  json constants = json::array(), operations = json::array();
  int64_t at = 0;
  for (const GraphConstant& constant : graph.constants) {
    const char* type = is_halved(constant)                    ? "f16"
                       : constant.value.dtype() == DType::i32 ? "i32"
                                                              : "f32";
    constants.push_back({{"name", constant.name},
                         {"shape", shape_json(constant.value.shape())},
                         {"type", type},
                         {"at", at}});
    at += bytes_of(constant);
  }
  for (const GraphOperation& operation : graph.operations)
    operations.push_back(operation_json(operation));
  return {{"constants", constants}, {"operations", operations}};
}

std::vector<uint8_t> constant_bytes(const NetworkGraph& graph) {
  static_assert(std::endian::native == std::endian::little);
  std::vector<uint8_t> out;
  for (const GraphConstant& constant : graph.constants) {
    const auto begin = std::ssize(out);
    out.resize(static_cast<size_t>(begin + bytes_of(constant)));
    uint8_t* to = out.data() + begin;
    const Tensor& value = constant.value;
    if (!is_halved(constant)) {
      CHECK(value.dtype() == DType::f32 || value.dtype() == DType::i32, "a constant is ", value);
      if (value.numel() > 0) std::memcpy(to, value.raw(), static_cast<size_t>(value.numel()) * 4);
      continue;
    }
    for (int64_t i = 0; i < value.numel(); ++i) {
      const uint16_t bits = half_bits(value.data<float>()[i]);
      std::memcpy(to + 2 * i, &bits, 2);
    }
  }
  return out;
}

json effects_json(const std::vector<EditEffect>& effects) {
  json rows = json::array();
  for (const EditEffect& effect : effects) {
    const Edit& edit = effect.edit;
    rows.push_back({{"kind", name_of(edit.kind)},
                    {"path", edit.path},
                    {"number", edit.number},
                    {"heads", edit.heads},
                    {"epsilon", edit.epsilon},
                    {"pictures", effect.right.pictures},
                    {"before", effect.right.intact},
                    {"after", effect.right.lesioned},
                    {"interval", effect.right.interval()},
                    {"changed", effect.changed},
                    {"moved", effect.moved}});
  }
  return rows;
}

json intact_json(const Intact& intact) {
  return {{"pictures", intact.pictures}, {"right", intact.right}};
}

std::vector<int64_t> shown_indices(const Model& model, const Dataset& data, int64_t count) {
  const int64_t side = model.options().image_size, bytes = side * side * 3;
  return staggered_indices(data.count, std::clamp<int64_t>(kMostPictureBytes / bytes, 1, count));
}

json pictures_json(const Model& model, const Dataset& data, int64_t count) {
  const std::vector<int64_t> indices = shown_indices(model, data, count);
  std::vector<uint8_t> pixels;
  json labels = json::array();
  const std::vector<double> shown = network_images(model, data, indices).values();
  for (size_t i = 0; i < shown.size(); ++i) {
    const double pixel = shown[i] * data.std[i % 3] + data.mean[i % 3];
    pixels.push_back(static_cast<uint8_t>(std::lround(std::clamp(pixel, 0.0, 1.0) * 255)));
  }
  for (const int64_t index : indices) labels.push_back(data.labels[static_cast<size_t>(index)]);
  return {{"labels", labels}, {"indices", indices}, {"pixels", base64(pixels)}};
}

json set_json(const std::string& title, const Model& first, const Dataset& data, int64_t shown) {
  json out = {{"title", title},          {"side", first.options().image_size},
              {"classes", data.classes}, {"mean", data.mean},
              {"std", data.std},         {"labelled", data.labelled},
              {"dataset", data.name},    {"pictures", pictures_json(first, data, shown)}};
  if (data.has_cues()) out["cues"] = {{"shapes", kShapeNames}, {"textures", kTextureNames}};
  return out;
}

json network_json(const Subject& subject) {
  const Model& model = *subject.model;
  return {{"label", subject.label},
          {"name", model.name()},
          {"family", model.family()},
          {"pattern", model.pattern()},
          {"parameters", model.store().parameter_count()},
          {"macs", model.macs()}};
}

}  // namespace passband
