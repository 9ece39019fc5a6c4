// Norms of the linear maps between places, by products of Jacobians with masked inputs.
#include "analysis/relevance/block_transport.h"

#include <algorithm>
#include <cmath>

#include "analysis/study/finite.h"
#include "analysis/study/frozen_parameters.h"
#include "analysis/study/window_grid.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {

int64_t places_of(const TapSite& site) { return site.prefix + site.height * site.width; }

namespace {

// Pictures of noise from which a block's sight is measured: gates that one closes another opens.
constexpr int64_t kLooks = 10;
// Of a block's greatest length: what f32 kernels may leave of a length that is 0. A dead place
// would else hand on its relevance by rounding errors, which differ from kernel to kernel.
constexpr double kRounding = 1e-5;

// Sources of one colour are seen by disjoint sets of output places, so that one pass serves them
// all.
struct Coloring {
  int64_t colors = 0;
  std::vector<int64_t> color_of;  // of each source
  // outputs x colors: the source of that colour an output may see, or -1
  std::vector<int64_t> source;

  int64_t source_of(int64_t place, int64_t color) const {
    return source[static_cast<size_t>(place * colors + color)];
  }
};

// Every output may see every source.
Coloring one_by_one(int64_t outputs, int64_t sources) {
  Coloring result{.colors = sources};
  for (int64_t j = 0; j < sources; ++j) result.color_of.push_back(j);
  for (int64_t i = 0; i < outputs; ++i)
    result.source.insert(result.source.end(), result.color_of.begin(), result.color_of.end());
  return result;
}

// Each place sees itself only.
Coloring pointwise(int64_t places) {
  Coloring result{.colors = 1, .color_of = std::vector<int64_t>(static_cast<size_t>(places), 0)};
  for (int64_t i = 0; i < places; ++i) result.source.push_back(i);
  return result;
}

// Places see the tokens of their own window.
Coloring by_window(const TapSite& site) {
  const WindowGrid grid(site);
  const auto places = static_cast<size_t>(site.height * site.width);
  Coloring result{.colors = grid.tokens(),
                  .color_of = std::vector<int64_t>(places),
                  .source = std::vector<int64_t>(places * static_cast<size_t>(grid.tokens()))};
  for (int64_t w = 0; w < grid.windows; ++w)
    for (int64_t t = 0; t < grid.tokens(); ++t) {
      const int64_t place = grid.position(site, w, t);
      result.color_of[static_cast<size_t>(place)] = t;
      for (int64_t s = 0; s < grid.tokens(); ++s)
        result.source[static_cast<size_t>(place * grid.tokens() + s)] = grid.position(site, w, s);
    }
  return result;
}

// Position, within [first, first + period), of the number congruent to `color`.
int64_t in_reach(int64_t first, int64_t color, int64_t period) {
  return first + ((color - first) % period + period) % period;
}

int64_t stride_of(const TapSite& above, const TapSite& below) {
  return std::max<int64_t>(1, (below.height + above.height - 1) / above.height);
}

// Output o of the grid sees sources s o - reach ... s o + reach along each axis, s the block's
// stride.
Coloring by_reach(const TapSite& above, const TapSite& below, int64_t reach) {
  const int64_t stride = stride_of(above, below), period = 2 * reach + 1;
  if (period >= below.height && period >= below.width)
    return one_by_one(above.height * above.width, below.height * below.width);
  Coloring result{.colors = period * period};
  for (int64_t j = 0; j < below.height * below.width; ++j)
    result.color_of.push_back(j / below.width % period * period + j % below.width % period);
  for (int64_t i = 0; i < above.height * above.width; ++i)
    for (int64_t c = 0; c < result.colors; ++c) {
      const int64_t y = in_reach(i / above.width * stride - reach, c / period, period);
      const int64_t x = in_reach(i % above.width * stride - reach, c % period, period);
      const bool inside = y >= 0 && y < below.height && x >= 0 && x < below.width;
      result.source.push_back(inside ? y * below.width + x : -1);
    }
  return result;
}

// The same with tokens before the grids, which see one another and nothing of the grid: a colour
// each.
Coloring beside_prefix(const Coloring& grid, int64_t above, int64_t below) {
  Coloring result{.colors = grid.colors + below};
  for (int64_t t = 0; t < below; ++t) result.color_of.push_back(grid.colors + t);
  result.color_of.insert(result.color_of.end(), grid.color_of.begin(), grid.color_of.end());
  const int64_t cells = std::ssize(grid.source) / grid.colors;
  for (int64_t i = 0; i < above + cells; ++i)
    for (int64_t c = 0; c < result.colors; ++c) {
      const bool of_grid = c < grid.colors;
      const int64_t seen = i < above || !of_grid ? -1 : grid.source_of(i - above, c);
      result.source.push_back(i < above && !of_grid ? c - grid.colors
                              : seen < 0            ? -1
                                                    : below + seen);
    }
  return result;
}

bool same_grid(const TapSite& a, const TapSite& b) {
  return a.height == b.height && a.width == b.width && a.prefix == b.prefix;
}

// What the output places of a block have been seen to depend on.
class Sight {
 public:
  Sight(const TapSite& above, const TapSite& below)
      : above_(above), below_(below), itself_only_(same_grid(above, below)) {
    in_window_ = itself_only_ && above.window > 0 && above.prefix == 0;
    if (!in_window_) return;
    const WindowGrid grid(above);
    window_of_.resize(static_cast<size_t>(places_of(above)));
    for (int64_t w = 0; w < grid.windows; ++w)
      for (int64_t t = 0; t < grid.tokens(); ++t)
        window_of_[static_cast<size_t>(grid.position(above, w, t))] = w;
  }

  void add(int64_t output, int64_t source) {
    itself_only_ = itself_only_ && output == source;
    in_window_ = in_window_ &&
                 window_of_[static_cast<size_t>(output)] == window_of_[static_cast<size_t>(source)];
    if (output < above_.prefix || source < below_.prefix) {
      prefix_apart_ = prefix_apart_ && output < above_.prefix && source < below_.prefix;
      return;
    }
    const int64_t o = output - above_.prefix, s = source - below_.prefix,
                  stride = stride_of(above_, below_);
    reach_ = std::max({reach_, std::abs(s / below_.width - o / above_.width * stride),
                       std::abs(s % below_.width - o % above_.width * stride)});
  }

  // The fewest colours.
  Coloring coloring() const {
    if (itself_only_) return pointwise(places_of(above_));
    if (!prefix_apart_) return one_by_one(places_of(above_), places_of(below_));
    const Coloring all =
        beside_prefix(by_reach(above_, below_, reach_), above_.prefix, below_.prefix);
    if (!in_window_) return all;
    Coloring windows = by_window(above_);
    return windows.colors < all.colors ? windows : all;
  }

 private:
  TapSite above_, below_;
  bool itself_only_, in_window_ = false, prefix_apart_ = true;
  int64_t reach_ = 0;
  std::vector<int64_t> window_of_;  // of each place
};

// Places from which a block's sight is measured: corners, the middle, some others, the tokens
// before the grid.
std::vector<int64_t> places_to_look_from(const TapSite& site, uint64_t seed) {
  const int64_t h = site.height, w = site.width, cells = h * w;
  std::vector<int64_t> places;
  for (int64_t t = 0; t < site.prefix; ++t) places.push_back(t);
  for (const int64_t cell : {int64_t{0}, w - 1, cells - w, cells - 1, h / 2 * w + w / 2})
    places.push_back(site.prefix + cell);
  RandomSequence random({seed, 0, site_of("analysis.sight")});
  while (std::ssize(places) < kLooks) places.push_back(site.prefix + random.below(cells));
  places.resize(kLooks);
  return places;
}

// One block: the norms gathered so far.
struct Block {
  TapSite site;
  int64_t channels = 0;
  Coloring coloring;          // colors = 0: left out
  std::vector<double> norms;  // (place, group) x (color, group)
};

class TransportMeasurement {
 public:
  TransportMeasurement(const Model& model, const Tensor& image,
                       const BlockTransportOptions& options)
      : model_(model), image_(image), options_(options) {
    CHECK(image.size(0) == 1, "block transports: one picture at a time, not ", image);
    survey();
  }

  std::vector<BlockTransport> run() {
    int64_t passes = 0;
    for (const Block& block : blocks_)
      passes = std::max(passes, block.coloring.colors * options_.groups);
    for (first_ = 0; first_ < passes; first_ += options_.copies)
      sweep(std::min(options_.copies, passes - first_));
    std::vector<BlockTransport> result;
    for (const Block& block : blocks_)
      result.push_back({block.site, block.channels, transport_of(block)});
    return result;
  }

 private:
  bool wanted(const TapSite& site) const {
    return !options_.without_attention ||
           (site.kind != BlockKind::msa && site.kind != BlockKind::mlp);
  }

  // The blocks, and what their outputs see, on pictures of noise.
  void survey() {
    const ContextGuard mode({.training = false, .linearised = true});
    const FrozenParameters frozen(model_.store());
    Tensor below;
    const ProbeGuard probe({"out"}, [&](const TapSite& site, const Tensor& x) {
      Block block{.site = site, .channels = x.size(-1)};
      CHECK(block.channels % options_.groups == 0, "block transports: ", options_.groups,
            " groups do not divide the ", block.channels, " channels of ", site.path);
      if (!blocks_.empty() && wanted(site)) {
        block.coloring = sight_of(site, blocks_.back().site, x, below).coloring();
        const int64_t g = options_.groups;
        block.norms.resize(static_cast<size_t>(places_of(site) * g * block.coloring.colors * g));
      }
      blocks_.push_back(std::move(block));
      return below = x.detach().leaf();
    });
    model_(Tensor::randn({kLooks, image_.size(1), image_.size(2), 3},
                         {0, 0, site_of("analysis.sight")}, DType::f32, image_.device()));
  }

  static Sight sight_of(const TapSite& above, const TapSite& below, const Tensor& y,
                        const Tensor& x) {
    const int64_t outputs = places_of(above), sources = places_of(below), width = y.size(-1);
    const std::vector<int64_t> from = places_to_look_from(above, site_of(above.path));
    std::vector<double> seed(static_cast<size_t>(y.numel()));
    RandomSequence random({1, 0, site_of(above.path)});
    for (int64_t k = 0; k < kLooks; ++k)
      for (int64_t c = 0; c < width; ++c)
        seed[static_cast<size_t>((k * outputs + from[static_cast<size_t>(k)]) * width + c)] =
            static_cast<double>(random.normal());
    const Tensor pulled =
        grad(y, {x}, {.seed = Tensor::from(seed, y.shape(), y.dtype(), y.device())})[0];
    NoGrad no_grad;
    const std::vector<double> sizes =
        sum(abs(reshape(pulled, Shape{kLooks * sources, x.size(-1)})), {1}).values();
    const double least = kRounding * *std::ranges::max_element(sizes);
    Sight sight(above, below);
    for (int64_t k = 0; k < kLooks; ++k)
      for (int64_t j = 0; j < sources; ++j)
        if (sizes[static_cast<size_t>(k * sources + j)] > least)
          sight.add(from[static_cast<size_t>(k)], j);
    return sight;
  }

  // Runs `copies` copies of the picture; copy k of a block sees source number first_ + k of it.
  void sweep(int64_t copies) {
    const ContextGuard mode({.training = false, .linearised = true});
    const FrozenParameters frozen(model_.store());
    size_t at = 0;
    Tensor below;
    const ProbeGuard probe({"out"}, [&](const TapSite&, const Tensor& x) {
      Block& block = blocks_[at];
      if (block.coloring.colors * options_.groups > first_)
        measure(block, blocks_[at - 1], x, below);
      ++at;
      return below = x.detach().leaf();
    });
    const std::vector<Tensor> same(static_cast<size_t>(copies), image_);
    model_(concat(same, 0));
  }

  // J v for every copy, v = the input with all but this copy's sources set to 0: the derivative,
  // with respect to u, of <J^T u, v>.
  void measure(Block& block, const Block& input, const Tensor& y, const Tensor& x) {
    const Tensor u = Tensor::zeros_like(y).leaf();
    const Tensor pulled = grad(y, {x}, {.seed = u, .create_graph = true})[0];
    const Tensor moved = grad(pulled, {u}, {.seed = masked(block, input, x)})[0];
    gather_norms(block, moved);
  }

  Tensor masked(const Block& block, const Block& input, const Tensor& x) const {
    const int64_t copies = x.size(0), places = places_of(input.site), groups = options_.groups;
    const int64_t width = input.channels / groups, colors = block.coloring.colors;
    std::vector<double> kept(static_cast<size_t>(copies * places * groups));
    for (int64_t k = 0; k < copies && first_ + k < colors * groups; ++k) {
      const int64_t color = (first_ + k) / groups, group = (first_ + k) % groups;
      for (int64_t j = 0; j < places; ++j)
        if (block.coloring.color_of[static_cast<size_t>(j)] == color)
          kept[static_cast<size_t>((k * places + j) * groups + group)] = 1;
    }
    NoGrad no_grad;
    const Tensor mask = Tensor::from(kept, {copies * places * groups, 1}, x.dtype(), x.device());
    return reshape(reshape(x.detach(), Shape{mask.size(0), width}) * mask, x.shape());
  }

  void gather_norms(Block& block, const Tensor& moved) const {
    const int64_t groups = options_.groups, sources = block.coloring.colors * groups;
    check_finite(model_, block.norms, "the lengths that its " + block.site.path + " moves");
    const int64_t rows = places_of(block.site) * groups, width = block.channels / groups;
    NoGrad no_grad;
    const Tensor parts = reshape(moved.detach(), Shape{moved.size(0) * rows, width});
    const std::vector<double> squares = vecdot(parts, parts).values();
    const int64_t copies = std::min(moved.size(0), sources - first_);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t k = 0; k < copies; ++k)
        block.norms[static_cast<size_t>(r * sources + first_ + k)] =
            std::sqrt(squares[static_cast<size_t>(k * rows + r)]);
  }

  Transport transport_of(const Block& block) const {
    if (block.coloring.colors == 0) return {};
    const int64_t groups = options_.groups, sources = block.coloring.colors * groups;
    Transport result(static_cast<int64_t>(block.coloring.color_of.size()) * groups);
    const double least = kRounding * *std::ranges::max_element(block.norms);
    for (int64_t r = 0; r < places_of(block.site) * groups; ++r) {
      result.begin_row();
      for (int64_t s = 0; s < sources; ++s) {
        const int64_t source = block.coloring.source_of(r / groups, s / groups);
        const double norm = block.norms[static_cast<size_t>(r * sources + s)];
        if (source >= 0 && norm > least) result.add(source * groups + s % groups, norm);
      }
    }
    result.normalise_rows();
    return result;
  }

  const Model& model_;
  const Tensor image_;
  const BlockTransportOptions options_;
  std::vector<Block> blocks_;
  int64_t first_ = 0;
};

}  // namespace

Tensor excess_seed(const Tensor& logits, const std::vector<int64_t>& classes) {
  const int64_t count = logits.size(1);
  std::vector<double> seed(static_cast<size_t>(logits.numel()), -1.0 / static_cast<double>(count));
  for (size_t n = 0; n < classes.size(); ++n)
    seed[n * static_cast<size_t>(count) + static_cast<size_t>(classes[n])] += 1;
  return Tensor::from(seed, logits.shape(), logits.dtype(), logits.device());
}

std::vector<BlockTransport> block_transports(const Model& model, const Tensor& image,
                                             const BlockTransportOptions& options) {
  return TransportMeasurement(model, image, options).run();
}

ReadOut read_out(const Model& model, const Tensor& images, const std::vector<int64_t>& classes,
                 int64_t groups) {
  const ContextGuard mode({.training = false, .linearised = true});
  const FrozenParameters frozen(model.store());
  Tensor last;
  ReadOut result{.groups = groups};
  const ProbeGuard probe({"out"}, [&](const TapSite& site, const Tensor& x) {
    result.site = site;
    return last = x.detach().leaf();
  });
  const Tensor logits = finite_logits(model, images);
  CHECK(static_cast<int64_t>(classes.size()) == logits.size(0), "read_out: ", classes.size(),
        " classes for ", logits.size(0), " pictures");
  const Tensor slope = grad(logits, {last}, {.seed = excess_seed(logits, classes)})[0].detach();
  result.places = places_of(result.site);
  const int64_t channels = last.size(-1), width = channels / groups;
  CHECK(channels % groups == 0, "read_out: ", groups, " groups do not divide ", channels,
        " channels");
  NoGrad no_grad;
  const Shape cells{last.numel() / width, width};
  const Tensor x = reshape(last.detach(), cells), g = reshape(slope, cells);
  result.contributions = vecdot(g, x).values();
  result.norms = vecdot(x, x).values();
  check_finite(model, result.contributions, "the contributions of its " + result.site.path);
  const std::vector<double> read = sum(abs(g), {1}).values();
  for (size_t cell = 0; cell < read.size(); ++cell)
    result.norms[cell] = read[cell] > 0 ? std::sqrt(result.norms[cell]) : 0;
  return result;
}

}  // namespace passband
