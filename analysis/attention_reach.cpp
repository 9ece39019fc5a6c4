#include "analysis/attention_reach.h"

#include <cmath>

#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// Positions in the picture (grid steps) of the tokens of one window, prefix tokens left out.
struct WindowGrid {
  int64_t side_h, side_w;     // of a window
  int64_t across;             // windows per row of windows
  int64_t windows;            // per picture

  explicit WindowGrid(const TapSite& site)
      : side_h(site.window > 0 ? site.window : site.height), side_w(site.window > 0 ? site.window : site.width),
        across(site.width / side_w), windows((site.height / side_h) * across) {}

  int64_t tokens() const { return side_h * side_w; }
  // Row-major index into the whole grid of token t of window w, the cyclic shift undone.
  int64_t position(const TapSite& site, int64_t w, int64_t t) const {
    const int64_t row = (w / across) * side_h + t / side_w + site.shift;
    const int64_t column = (w % across) * side_w + t % side_w + site.shift;
    return (row % site.height) * site.width + column % site.width;
  }
};

double grid_distance(int64_t a, int64_t b, int64_t width) {
  const double dy = static_cast<double>(a / width - b / width), dx = static_cast<double>(a % width - b % width);
  return std::sqrt(dy * dy + dx * dx);
}

}  // namespace

void AttentionDistance::add(const TapSite& site, const Tensor& probabilities) {
  const WindowGrid grid(site);
  const int64_t heads = probabilities.size(1), all = probabilities.size(2), prefix = site.prefix,
                tokens = grid.tokens();
  CHECK(all == tokens + prefix, "attention distance: ", site.path, " attends over ", all, " tokens, its grid has ",
        tokens + prefix);
  distance_.resize(static_cast<size_t>(heads));
  mass_.resize(static_cast<size_t>(heads));
  const Tensor p = cast(probabilities.detach(), DType::f32);
  const float* a = p.data<float>();
  const int64_t windows = p.size(0);
#pragma omp parallel for
  for (int64_t h = 0; h < heads; ++h) {
    double distance = 0, mass = 0;
    for (int64_t b = 0; b < windows; ++b) {
      for (int64_t i = 0; i < tokens; ++i) {
        const float* row = a + ((b * heads + h) * all + i + prefix) * all;
        const int64_t from = grid.position(site, b % grid.windows, i);
        double reach = 0, total = 0, kept = 0;
        for (int64_t c = 0; c < prefix; ++c) kept += static_cast<double>(row[c]);
        for (int64_t j = 0; j < tokens; ++j) {
          const double share = static_cast<double>(row[j + prefix]);
          reach += share * grid_distance(from, grid.position(site, b % grid.windows, j), site.width);
          total += share;
        }
        distance += total > 0 ? site.patch * reach / total : 0;
        mass += kept;
      }
    }
    distance_[static_cast<size_t>(h)] += distance;
    mass_[static_cast<size_t>(h)] += mass;
  }
  count_ += static_cast<double>(windows * tokens);
}

std::vector<double> AttentionDistance::distances() const {
  std::vector<double> result = distance_;
  for (double& value : result) value /= count_;
  return result;
}

std::vector<double> AttentionDistance::class_mass() const {
  std::vector<double> result = mass_;
  for (double& value : result) value /= count_;
  return result;
}

double uniform_distance(int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n * n; ++i)
    for (int64_t j = 0; j < n * n; ++j) total += grid_distance(i, j, n);
  return total / static_cast<double>(n * n * n * n);
}

namespace {

// Spreads a map over a grid that is an integer multiple finer, keeping its sum.
std::vector<double> spread(const std::vector<double>& coarse, int64_t h, int64_t w, int64_t fine_h, int64_t fine_w) {
  CHECK(fine_h % h == 0 && fine_w % w == 0, "rollout: a grid of ", h, " x ", w, " does not lie on one of ", fine_h,
        " x ", fine_w);
  const int64_t fy = fine_h / h, fx = fine_w / w;
  std::vector<double> fine(static_cast<size_t>(fine_h * fine_w));
  for (int64_t y = 0; y < fine_h; ++y)
    for (int64_t x = 0; x < fine_w; ++x)
      fine[static_cast<size_t>(y * fine_w + x)] =
          coarse[static_cast<size_t>((y / fy) * w + x / fx)] / static_cast<double>(fy * fx);
  return fine;
}

// r <- r (mean_h A + I) / 2 for picture `n` of one layer; prefix tokens come first in r.
void carry(std::vector<double>& r, const RolloutLayer& layer, int64_t n) {
  const TapSite& site = layer.site;
  const WindowGrid grid(site);
  const int64_t heads = layer.attention.size(1), all = layer.attention.size(2), prefix = site.prefix;
  const float* a = layer.attention.data<float>();
  std::vector<double> next(r.size());
  for (size_t i = 0; i < r.size(); ++i) next[i] = 0.5 * r[i];
  const auto place = [&](int64_t w, int64_t t) {
    return static_cast<size_t>(t < prefix ? t : prefix + grid.position(site, w, t - prefix));
  };
  for (int64_t w = 0; w < grid.windows; ++w) {
    for (int64_t h = 0; h < heads; ++h) {
      const float* matrix = a + ((n * grid.windows + w) * heads + h) * all * all;
      for (int64_t i = 0; i < all; ++i) {
        const double weight = 0.5 * r[place(w, i)] / static_cast<double>(heads);
        if (weight == 0) continue;
        for (int64_t j = 0; j < all; ++j) next[place(w, j)] += weight * static_cast<double>(matrix[i * all + j]);
      }
    }
  }
  r = std::move(next);
}

}  // namespace

RolloutMaps rollout(const std::vector<RolloutLayer>& layers, bool from_class_token) {
  CHECK(!layers.empty(), "rollout: the network has no attention layer");
  const TapSite& top = layers.back().site;
  const TapSite& bottom = layers.front().site;
  const int64_t pictures = layers.back().attention.size(0) / WindowGrid(top).windows, prefix = top.prefix;
  RolloutMaps maps{pictures, bottom.height, bottom.width, {}};
  for (int64_t n = 0; n < pictures; ++n) {
    int64_t h = top.height, w = top.width;
    std::vector<double> r(static_cast<size_t>(prefix + h * w),
                          from_class_token ? 0.0 : 1.0 / static_cast<double>(h * w));
    if (from_class_token) {
      r[0] = 1;
    } else {
      std::fill_n(r.begin(), prefix, 0.0);
    }
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
      if (layer->site.height != h || layer->site.width != w) {
        r = spread(r, h, w, layer->site.height, layer->site.width);
        h = layer->site.height;
        w = layer->site.width;
      }
      carry(r, *layer, n);
    }
    maps.values.insert(maps.values.end(), r.begin() + prefix, r.end());
  }
  return maps;
}

}  // namespace passband
