#include "analysis/similarity/head_similarity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "analysis/reach/attention_reach.h"
#include "nn/context.h"
#include "tensor/autograd/node.h"
#include "tensor/core/text.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// The kernels of the heads of one layer and of the layers of the other network, batch by batch.
class HeadCollector {
 public:
  explicit HeadCollector(int64_t layer) : layer_(layer) {}

  void visit(size_t network, const TapSite& site, const Tensor& buffer) {
    if (network == 1) {
      if (site.name == "out") add(layers_.index_of(site), other_, buffer);
    } else if (site.name == "attention") {
      if (++seen_attention_ != layer_) return;
      site_ = site;
      distance_.add(site, buffer);
      heads_ = buffer.size(1);
    } else if (site.name == "heads" && site.kind == BlockKind::msa) {
      if (++seen_heads_ != layer_) return;
      const int last = buffer.rank() - 1;
      const int64_t width = buffer.size(last) / heads_;
      for (int64_t h = 0; h < heads_; ++h)
        add(static_cast<size_t>(h), own_, slice(buffer, last, h * width, width));
    }
  }

  void finish_batch() {
    std::vector<Tensor> rows = std::exchange(own_, {});
    for (Tensor& kernel : std::exchange(other_, {})) rows.push_back(std::move(kernel));
    const Tensor all = concat(rows, 0);
    if (!sums_) sums_.emplace(all.size(0), all.size(0));
    sums_->add(all, all);
    seen_attention_ = seen_heads_ = 0;
  }

  HeadSimilarity result(int64_t size) const {
    HeadSimilarity result{site_, distance_.distances(), layers_, {}};
    std::vector<int64_t> order(result.distances.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {},
                             [&](int64_t h) { return result.distances[static_cast<size_t>(h)]; });
    const std::vector<double> hsic = sums_->hsic_sum();
    for (auto first = order.begin(); first + size <= order.end(); ++first) {
      HeadSubset subset{{first, first + size}, 0, {}};
      for (const int64_t h : subset.heads)
        subset.distance += result.distances[static_cast<size_t>(h)] / static_cast<double>(size);
      for (size_t l = 0; l < layers_.size(); ++l)
        subset.cka.push_back(cka(hsic, subset.heads, heads_ + static_cast<int64_t>(l)));
      result.subsets.push_back(std::move(subset));
    }
    return result;
  }

 private:
  static void add(size_t i, std::vector<Tensor>& kernels, const Tensor& features) {
    bool dead = false;
    kernels.resize(std::max(kernels.size(), i + 1));
    kernels[i] = u_centred_gram(cast(features, DType::f32), dead);
    if (dead) kernels[i] = Tensor::zeros_like(kernels[i]);
  }

  // Kernels of heads side by side add, and so do their inner products.
  double cka(const std::vector<double>& hsic, const std::vector<int64_t>& heads,
             int64_t layer) const {
    const int64_t all = heads_ + static_cast<int64_t>(layers_.size());
    const auto at = [&](int64_t i, int64_t j) { return hsic[static_cast<size_t>(i * all + j)]; };
    double cross = 0, own = 0;
    for (const int64_t h : heads) {
      cross += at(h, layer);
      for (const int64_t g : heads) own += at(h, g);
    }
    const double self = own * at(layer, layer);
    return self > 0 ? cross / std::sqrt(self) : std::nan("");
  }

  int64_t layer_, heads_ = 0, seen_attention_ = 0, seen_heads_ = 0;
  TapSite site_;
  AttentionDistance distance_;
  DepthAxis layers_;
  std::vector<Tensor> own_, other_;  // (1, n^2) of this batch
  std::optional<MinibatchCka> sums_;
};

// Heads of every attention layer of a network.
std::vector<int64_t> heads_of(const Model& model) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = DType::f32});
  std::vector<int64_t> heads;
  int64_t shown = 0;
  const ProbeGuard probe({"attention", "heads"}, [&](const TapSite& site, const Tensor& buffer) {
    if (site.name == "attention") heads.push_back(buffer.size(1));
    else shown += site.kind == BlockKind::msa;
    return buffer;
  });
  const int64_t side = model.options().image_size;
  model(Tensor::zeros({1, side, side, 3}, DType::f32, model.device()));
  return shown == std::ssize(heads) ? heads : std::vector<int64_t>{};
}

// What `layer` and `size` come to in this network.
int64_t subset_size(const Subject& of, const HeadSimilarityOptions& options) {
  const std::vector<int64_t> heads = heads_of(*of.model);
  if (options.layer < 1 || options.layer > std::ssize(heads))
    throw UsageError(fmt::format("--set heads.layer={}: {} has {}, counted from 1", options.layer,
                                 of.label, counted(std::ssize(heads), "attention layer")));
  const int64_t count = heads[static_cast<size_t>(options.layer - 1)];
  if (options.size < 0 || options.size > count)
    throw UsageError(fmt::format("--set heads.size={}: that layer of {} has {}", options.size,
                                 of.label, counted(count, "head")));
  return options.size > 0 ? options.size : std::max<int64_t>(1, count / 4);
}

}  // namespace

int64_t attention_layers(const Model& model) { return std::ssize(heads_of(model)); }

size_t network_of_heads(const std::vector<Subject>& subjects) {
  const auto found = std::ranges::find_if(
      subjects, [](const Subject& s) { return attention_layers(*s.model) > 0; });
  return static_cast<size_t>(found - subjects.begin());
}

HeadSimilarity measure_head_similarity(const Subject& of, const Subject& against,
                                       const Dataset& data, int64_t images,
                                       const HeadSimilarityOptions& options,
                                       const Progress& progress) {
  const int64_t size = subset_size(of, options);
  HeadCollector collector(options.layer);
  run_lockstep(
      {of, against}, data,
      {.images = images, .batch_size = std::min(images, options.batch), .progress = progress},
      {"attention", "heads", "out"},
      [&](size_t network, const TapSite& site, const Tensor& buffer) {
        collector.visit(network, site, buffer);
      },
      [&](int64_t, const std::vector<int64_t>&) { collector.finish_batch(); });
  return collector.result(size);
}

}  // namespace passband
