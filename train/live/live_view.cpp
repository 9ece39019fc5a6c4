#include "train/live/live_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/augment.h"
#include "data/loader.h"
#include "models/ring_spectrum.h"
#include "nn/context.h"
#include "nn/tap.h"
#include "tensor/autograd/node.h"
#include "tensor/core/error.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"
#include "train/say.h"

namespace passband {
namespace {

using nlohmann::json;

constexpr int64_t kPictures = 12, kLeastMap = 4;
constexpr size_t kMostPoints = 400, kMostLines = 24;

// Bytes of pictures (N, side, side, 3), two digits each.
std::string pixels_of(const Tensor& images, const Dataset& data) {
  std::string text;
  const std::vector<double> values = images.values();
  for (size_t i = 0; i < values.size(); ++i) {
    const double pixel = values[i] * data.std[i % 3] + data.mean[i % 3];
    text += fmt::format("{:02x}", std::lround(std::clamp(pixel, 0.0, 1.0) * 255));
  }
  return text;
}

// A block's result, or tokens on a grid without those before it, as maps; undefined for others.
Tensor maps_of(const TapSite& site, const Tensor& buffer) {
  if (buffer.rank() == 4) return buffer;
  if (buffer.rank() != 3 || site.height < 1) return {};
  const Tensor tokens =
      site.prefix == 0 ? buffer : slice(buffer, 1, site.prefix, buffer.size(1) - site.prefix);
  if (tokens.size(1) != site.height * site.width) return {};
  return reshape(tokens, {tokens.size(0), site.height, site.width, tokens.size(2)});
}

std::vector<std::vector<double>> rows_of(const Tensor& x) {
  const std::vector<double> values = x.values();
  std::vector<std::vector<double>> rows;
  const auto width = static_cast<size_t>(x.size(1));
  for (size_t at = 0; at < values.size(); at += width)
    rows.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(at),
                      values.begin() + static_cast<std::ptrdiff_t>(at + width));
  return rows;
}

// Three digits: a page need not be told more.
json rounded(const std::vector<double>& values) {
  json out = json::array();
  for (const double v : values)
    out.push_back(std::isfinite(v) ? json(std::round(v * 1000) / 1000) : json());
  return out;
}

std::string live_page(const std::string& title, const std::string& token) {
  std::string text;
  for (const LiveFile& file : live_files())
    if (file.name == "live.html") text = file.text;
  const auto put = [&](const std::string& place, const std::string& what) {
    for (size_t at = 0; (at = text.find(place, at)) != std::string::npos; at += what.size())
      text.replace(at, place.size(), what);
  };
  std::string name;
  for (const char c : title) name += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  put("{{title}}", name);
  put("{{token}}", token);
  return text;
}

}  // namespace

LiveView::LiveView(const std::filesystem::path& run, std::string title, const Dataset& data,
                   int64_t image_size, int port)
    : title_(std::move(title)), classes_(data.classes), metrics_(run / "metrics.jsonl") {
  std::vector<int64_t> chosen = epoch_order(data.count, /*seed=*/0, /*epoch=*/0);
  chosen.resize(static_cast<size_t>(std::min(kPictures, data.count)));
  images_ = Tensor::empty({std::ssize(chosen), image_size, image_size, 3});
  make_eval_batch(data, chosen, image_size, images_.data<float>());
  pixels_ = pixels_of(images_, data);
  for (const int64_t i : chosen) labels_.push_back(data.labels[static_cast<size_t>(i)]);
  server_ = std::make_unique<PageServer>(
      [this](const PageRequest& request) { return answer(request); }, port);
}

// The first block's result, the middle one's and the last one's that is still a map.
void LiveView::choose_layers(const Model& model) {
  std::vector<LiveLayer> found;
  const ProbeGuard probe({"out"}, [&](const TapSite& site, const Tensor& buffer) {
    const Tensor maps = maps_of(site, buffer);
    const int64_t side = maps.defined() ? std::min(maps.size(1), maps.size(2)) : 0;
    if (side >= kLeastMap) found.push_back({site.path, side});
    return buffer;
  });
  model(slice(images_, 0, 0, 1).to(model.device()));
  if (found.empty()) return;
  for (const size_t at : {size_t{0}, found.size() / 2, found.size() - 1})
    if (std::ranges::find(layers_, found[at].path, &LiveLayer::path) == layers_.end())
      layers_.push_back(found[at]);
}

void LiveView::look(const Model& model, int64_t epoch) {
  try {
    const NoGrad no_grad;
    const ContextGuard mode({.training = false, .compute = DType::f32});
    if (layers_.empty()) choose_layers(model);
    LiveLook seen{.epoch = epoch, .spectra = {}, .probabilities = {}};
    seen.spectra.resize(layers_.size());
    {
      const ProbeGuard probe({"out"}, [&](const TapSite& site, const Tensor& buffer) {
        const auto at = std::ranges::find(layers_, site.path, &LiveLayer::path);
        if (at != layers_.end())
          seen.spectra[static_cast<size_t>(at - layers_.begin())] =
              ring_spectrum(maps_of(site, buffer));
        return buffer;
      });
      seen.probabilities = rows_of(softmax(model(images_.to(model.device()))));
    }
    const std::lock_guard lock(mutex_);
    shown_layers_ = layers_;
    looks_.push_back(std::move(seen));
  } catch (const std::exception& error) {
    if (!complained_) say(fmt::format("train: --live: {}; training goes on\n", error.what()));
    complained_ = true;
  }
}

std::string LiveView::state() {
  json out = {{"title", title_}, {"classes", classes_}};
  const std::lock_guard lock(mutex_);
  metrics_.read_on();
  out["curves"] = metrics_.curves(kMostPoints);
  out["layers"] = json::array();
  for (const LiveLayer& layer : shown_layers_)
    out["layers"].push_back({{"path", layer.path}, {"side", layer.side}});
  json spectra = json::array();
  const size_t count = looks_.size(), lines = std::min(count, kMostLines);
  for (size_t i = 0; i < lines; ++i) {  // evenly spread, the first and the last among them
    const LiveLook& look = looks_[lines < 2 ? 0 : i * (count - 1) / (lines - 1)];
    json of_layers = json::array();
    for (const std::vector<double>& line : look.spectra) of_layers.push_back(rounded(line));
    spectra.push_back({{"epoch", look.epoch}, {"layers", of_layers}});
  }
  out["spectra"] = spectra;
  json pictures = {{"side", images_.size(1)}, {"labels", labels_}, {"pixels", pixels_}};
  if (count > 0) {
    pictures["epoch"] = looks_.back().epoch;
    for (const std::vector<double>& row : looks_.back().probabilities)
      pictures["probabilities"].push_back(rounded(row));
  }
  out["pictures"] = pictures;
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

PageAnswer LiveView::answer(const PageRequest& request) {
  if (request.method == "GET") {
    if (request.path == "/") return {.body = live_page(title_, request.token)};
    if (request.path == "/state") return {200, "application/json", state()};
    for (const LiveFile& file : live_files()) {
      if (request.path != "/" + std::string(file.name) || file.name == "live.html") continue;
      return {200, file.name.ends_with(".js") ? "text/javascript" : "text/css",
              std::string(file.text)};
    }
  }
  return {404, "text/plain", "There is one page here, at /."};
}

}  // namespace passband
