// Passes that fit, choose and test the probes of all layers at once.
#include "analysis/places/probes.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "analysis/study/finite.h"
#include "analysis/study/host.h"
#include "analysis/study/subject.h"
#include "tensor/autograd/node.h"
#include "tensor/core/parallel.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr int64_t kProbeBatch = 100;

using Labels = std::vector<int32_t>;
using Indices = std::vector<int64_t>;

// Places of the labels among `shown`; -1 for a class that is not among them.
Labels labels_of(const Dataset& data, const Indices& indices, const Labels& shown) {
  Labels labels;
  for (const int64_t i : indices) {
    const int32_t label = data.labels[static_cast<size_t>(i)];
    const auto at = std::ranges::lower_bound(shown, label);
    const bool found = at != shown.end() && *at == label;
    labels.push_back(found ? static_cast<int32_t>(at - shown.begin()) : -1);
  }
  return labels;
}

// One regression: sums while it is fitted, then its weights for every lambda, then for the chosen
// one.
struct Probe {
  std::optional<RidgeSums> sums = {};
  std::vector<std::vector<double>> weights = {};  // by lambda
  std::vector<int64_t> right = {};                // by lambda, on the validation pictures
  size_t chosen = 0;
  std::vector<bool> answers = {};  // which of the test pictures are right

  void solve(const std::vector<double>& lambdas, double examples, bool standardise) {
    take(sums->solve({standardise}), lambdas, examples);
    sums.reset();
  }
  void take(const RidgePath& path, const std::vector<double>& lambdas, double examples) {
    for (const double lambda : lambdas) weights.push_back(path.weights(lambda * examples));
    right.assign(lambdas.size(), 0);
  }
  void choose() {
    chosen = static_cast<size_t>(std::ranges::max_element(right) - right.begin());
    weights = {std::move(weights[chosen])};
  }
  double share(double tested) const {
    return static_cast<double>(std::ranges::count(answers, true)) / tested;
  }
};

// The probes of one layer.
struct LayerProbes {
  TapSite site;
  BlockKind kind = BlockKind::conv;
  int64_t channels = 0, features = 0;  // of the stream, and of a cell
  Indices places;                      // cells that have a probe of their own
  int64_t grid_h = 0, grid_w = 0;
  std::vector<Probe> mean, shots, class_token, everything;  // one or none
  std::vector<Probe> single;                                // one for each of `places`
  std::vector<Tensor> shot_features;
};

enum class Phase : uint8_t { fit, shots, choose, test };

class ProbeStudy {
 public:
  ProbeStudy(const Model& model, const Dataset& train, const Dataset& test,
             const ProbeOptions& options, const Progress& progress)
      : model_(model), train_(train), test_(test), options_(options), progress_(progress) {
    CHECK(train.count >= 2 && test.count >= 1, "probes: no training or no test pictures");
    split();
    survey();
    place_probes();
  }

  std::vector<ProbeLayer> run() {
    pass(Phase::fit, train_, fitted_, 0);
    pass(Phase::shots, train_, shots_, 1);
    solve();
    pass(Phase::choose, train_, held_out_, 2);
    for_all([](Probe& probe) { probe.choose(); });
    const Indices tested = spread_indices(test_.count, options_.test);
    pass(Phase::test, test_, tested, 3);
    std::vector<ProbeLayer> result;
    for (const LayerProbes& layer : layers_)
      result.push_back(result_of(layer, static_cast<double>(tested.size())));
    return result;
  }

 private:
  // Training pictures spread over the set; evenly among them the ones that choose lambda. Shots are
  // the first of each class among those fitted.
  void split() {
    const Indices all = spread_indices(train_.count, options_.train + options_.validation);
    const auto total = static_cast<int64_t>(all.size());
    const int64_t validation =
        std::max<int64_t>(1, total * options_.validation / (options_.train + options_.validation));
    std::vector<int64_t> taken(static_cast<size_t>(train_.num_classes()));
    for (int64_t i = 0; i < total; ++i) {
      const int64_t index = all[static_cast<size_t>(i)];
      if ((i + 1) * validation / total > i * validation / total) {
        held_out_.push_back(index);
        continue;
      }
      fitted_.push_back(index);
      int64_t& count = taken[static_cast<size_t>(train_.labels[static_cast<size_t>(index)])];
      if (count++ < options_.shots) shots_.push_back(index);
    }
  }

  // After whole blocks: where they are pairs of mixing and MLP, after the pair.
  bool wanted(const TapSite& site) const {
    const bool in_pairs = model_.has(BlockKind::mlp);
    return !in_pairs || site.kind == BlockKind::mlp || site.kind == BlockKind::embedding;
  }

  void survey() {
    NoGrad no_grad;
    const ContextGuard mode({.training = false});
    BlockKind mixing = BlockKind::embedding;
    const ProbeGuard probe({"out"}, [&](const TapSite& site, const Tensor& x) {
      if (site.kind != BlockKind::mlp) mixing = site.kind;
      if (wanted(site)) layers_.push_back({.site = site, .kind = mixing, .channels = x.size(-1)});
      return x;
    });
    model_(network_images(model_, train_, {0}));
  }

  void place_probes() {
    const TapSite top = layers_.back().site;
    const int64_t most = layers_.back().channels, classes = std::ssize(shown_);
    double bytes = 0;
    for (LayerProbes& layer : layers_) {
      if (layer.site.height % top.height != 0 || layer.site.width % top.width != 0) continue;
      layer.features =
          cell_features(Tensor::zeros({1, layer.site.height, layer.site.width, layer.channels}),
                        top.height, top.width, most)
              .size(3);
      const double d = static_cast<double>(layer.features),
                   lambdas = static_cast<double>(options_.lambdas.size());
      bytes += 8 * d * (d + lambdas * static_cast<double>(classes));
    }
    int64_t step = 1;
    const auto kept = [&](int64_t side) { return (side + step - 1) / step; };
    while (bytes * static_cast<double>(kept(top.height) * kept(top.width)) >
               1e6 * static_cast<double>(options_.token_megabytes) &&
           step < std::max(top.height, top.width))
      ++step;
    for (LayerProbes& layer : layers_) {
      layer.mean = {{RidgeSums(layer.channels, classes)}};
      layer.shots.emplace_back();
      if (layer.site.prefix > 0) layer.class_token = layer.everything = layer.mean;
      if (layer.features == 0) continue;
      layer.grid_h = kept(top.height);
      layer.grid_w = kept(top.width);
      for (int64_t y = 0; y < top.height; y += step)
        for (int64_t x = 0; x < top.width; x += step) layer.places.push_back(y * top.width + x);
      for (size_t i = 0; i < layer.places.size(); ++i)
        layer.single.push_back({RidgeSums(layer.features, classes)});
    }
  }

  void pass(Phase phase, const Dataset& data, const Indices& indices, int64_t part) {
    NoGrad no_grad;
    const ContextGuard mode({.training = false});
    const Progress progress = progress_.part(part, 4);
    const auto total = static_cast<int64_t>(indices.size());
    Labels labels;
    size_t at = 0;
    const ProbeGuard probe({"out"}, [&](const TapSite& site, const Tensor& x) {
      check_finite(model_, site, x);
      if (wanted(site)) read(layers_[at++], phase, x, labels);
      return x;
    });
    for (int64_t first = 0; first < total; first += kProbeBatch) {
      const auto begin = indices.begin() + first;
      const Indices chosen(begin, begin + std::min(kProbeBatch, total - first));
      labels = labels_of(data, chosen, shown_);
      at = 0;
      finite_logits(model_, network_images(model_, data, chosen));
      progress(first + static_cast<int64_t>(chosen.size()), total, "pictures");
    }
  }

  void read(LayerProbes& layer, Phase phase, const Tensor& buffer, const Labels& labels) const {
    const Tensor map = as_feature_map(layer.site, buffer);  // (N, H, W, C)
    const Tensor pooled = on_host(mean(map, {1, 2}));
    if (phase == Phase::shots) {
      layer.shot_features.push_back(pooled);
      return;
    }
    use(layer.mean, phase, pooled, labels);
    if (phase != Phase::fit) use(layer.shots, phase, pooled, labels);
    if (!layer.class_token.empty()) {
      const Tensor token = reshape(slice(buffer, 1, 0, 1), Shape{buffer.size(0), buffer.size(2)});
      use(layer.class_token, phase, token, labels);
      use(layer.everything, phase, mean(buffer, {1}), labels);
    }
    if (!layer.single.empty()) read_places(layer, phase, map, labels);
  }

  void read_places(LayerProbes& layer, Phase phase, const Tensor& map, const Labels& labels) const {
    const TapSite& top = layers_.back().site;
    const Tensor cells = cell_features(map, top.height, top.width, layers_.back().channels);
    const int64_t n = cells.size(0), places = cells.size(1) * cells.size(2), d = cells.size(3);
    const Tensor by_place = on_host(permute(reshape(cells, Shape{n, places, d}), {1, 0, 2}));
    const auto count = static_cast<int64_t>(layer.single.size());
    for_each_index(count, [&](int64_t i) {
      const int64_t place = layer.places[static_cast<size_t>(i)];
      step(layer.single[static_cast<size_t>(i)], phase, by_place.view(place * n * d, Shape{n, d}),
           labels);
    });
  }

  void use(std::vector<Probe>& probes, Phase phase, const Tensor& x, const Labels& labels) const {
    for (Probe& probe : probes) step(probe, phase, x, labels);
  }

  void step(Probe& probe, Phase phase, const Tensor& x, const Labels& labels) const {
    const int64_t classes = std::ssize(shown_);
    if (phase == Phase::fit) {
      probe.sums->add(x, labels);
    } else if (phase == Phase::choose) {
      for (size_t l = 0; l < probe.weights.size(); ++l)
        probe.right[l] += count_right(x, labels, probe.weights[l], classes);
    } else {
      const std::vector<bool> right = right_answers(x, labels, probe.weights[0], classes);
      probe.answers.insert(probe.answers.end(), right.begin(), right.end());
    }
  }

  void solve() {
    const Labels labels = labels_of(train_, shots_, shown_);
    for (LayerProbes& layer : layers_) {
      const RidgePath path = ridge_of_examples(concat(layer.shot_features, 0), labels,
                                               std::ssize(shown_), {options_.standardise});
      layer.shots[0].take(path, options_.lambdas, static_cast<double>(labels.size()));
      layer.shot_features.clear();
    }
    for_all([&](Probe& probe) {
      if (probe.weights.empty())
        probe.solve(options_.lambdas, static_cast<double>(fitted_.size()), options_.standardise);
    });
  }

  // Every probe, several at a time.
  void for_all(const std::function<void(Probe&)>& visit) {
    std::vector<Probe*> all;
    for (LayerProbes& layer : layers_)
      for (std::vector<Probe>* group :
           {&layer.mean, &layer.shots, &layer.class_token, &layer.everything, &layer.single})
        for (Probe& probe : *group) all.push_back(&probe);
    for_each_index(std::ssize(all), [&](int64_t i) { visit(*all[static_cast<size_t>(i)]); });
  }

  ProbeLayer result_of(const LayerProbes& layer, double tested) const {
    const auto share = [&](const std::vector<Probe>& group) {
      return group.empty() ? -1 : group[0].share(tested);
    };
    ProbeLayer result{.site = layer.site,
                      .kind = layer.kind,
                      .mean = share(layer.mean),
                      .right = layer.mean[0].answers,
                      .mean_shots = share(layer.shots),
                      .class_token = share(layer.class_token),
                      .everything = share(layer.everything),
                      .lambda = options_.lambdas[layer.mean[0].chosen],
                      .grid_h = layer.grid_h,
                      .grid_w = layer.grid_w};
    for (const Probe& probe : layer.single) {
      result.by_place.push_back(probe.share(tested));
      result.places += result.by_place.back() / static_cast<double>(layer.single.size());
    }
    return result;
  }

  const Model& model_;
  const Dataset &train_, &test_;
  const Labels shown_ = train_.shown_classes();  // the classes that can be learned
  const ProbeOptions& options_;
  const Progress progress_;
  Indices fitted_, held_out_, shots_;
  std::vector<LayerProbes> layers_;
};

}  // namespace

std::vector<ProbeLayer> probe_layers(const Model& model, const Dataset& train, const Dataset& test,
                                     const ProbeOptions& options, const Progress& progress) {
  return ProbeStudy(model, train, test, options, progress).run();
}

Tensor cell_features(const Tensor& map, int64_t grid_h, int64_t grid_w, int64_t most_channels) {
  const int64_t n = map.size(0), channels = map.size(3), high = map.size(1) / grid_h,
                wide = map.size(2) / grid_w;
  CHECK(map.size(1) == high * grid_h && map.size(2) == wide * grid_w, "probes: a grid of ", grid_h,
        " x ", grid_w, " does not divide the map ", map);
  int64_t q = 1;
  for (int64_t next = 2; next <= std::min(high, wide); ++next)
    if (high % next == 0 && wide % next == 0 && next * next * channels <= most_channels) q = next;
  const Tensor split =
      reshape(map, Shape{n * grid_h * q, high / q, grid_w * q, wide / q, channels});
  const Tensor averaged = mean(split, {1, 3});  // (n * grid_h * q, grid_w * q, C)
  if (q == 1) return reshape(averaged, Shape{n, grid_h, grid_w, channels});
  const Tensor parts = reshape(averaged, Shape{n, grid_h, q, grid_w, q, channels});
  return reshape(permute(parts, {0, 1, 3, 2, 4, 5}), Shape{n, grid_h, grid_w, q * q * channels});
}

}  // namespace passband
