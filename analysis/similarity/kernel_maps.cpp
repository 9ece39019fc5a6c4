#include "analysis/similarity/kernel_maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "nn/context.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// Kernels of the batch that is running, for each measure one a layer.
struct BatchKernels {
  std::vector<std::vector<Tensor>> layers;  // by measure, by layer: (1, n, n)
};

// CKA of each pass, and HSIC over all.
class PassSums {
 public:
  PassSums(size_t rows, size_t columns, HsicEstimator estimator)
      : rows_(static_cast<int64_t>(rows)),
        columns_(static_cast<int64_t>(columns)),
        estimator_(estimator) {}

  // With `keep` the batches of the first pass are kept apart, too.
  void add(int64_t pass, const Tensor& rows, const Tensor& columns, bool keep) {
    if (static_cast<int64_t>(passes_.size()) <= pass)
      passes_.emplace_back(rows_, columns_, estimator_);
    MinibatchCka batch(rows_, columns_, estimator_);
    batch.add(rows, columns);
    passes_.back().add(batch, 1);
    if (keep && pass == 0) batches_.push_back(std::move(batch));
  }

  void join(const OwnPart& part) {
    for (MinibatchCka& pass : passes_) pass.join(part);
    if (batches_.empty() || !part.split) return;
    std::vector<double> numbers;
    for (const MinibatchCka& batch : batches_) {
      const std::vector<double> own = batch.numbers();
      numbers.insert(numbers.end(), own.begin(), own.end());
    }
    const auto each = std::ssize(numbers) / std::ssize(batches_);
    part.append(numbers);
    batches_.resize(numbers.size() / static_cast<size_t>(each), batches_.front());
    for (int64_t i = 0; i < std::ssize(batches_); ++i) {
      const auto first = numbers.begin() + i * each;
      batches_[static_cast<size_t>(i)].take({first, first + each});
    }
  }

  KernelMap result(const DepthAxis& rows, const DepthAxis& columns) const {
    const auto cells = static_cast<size_t>(rows_ * columns_);
    const std::vector<double> zeros(cells);
    KernelMap map{{rows, columns, zeros}, {rows, columns, zeros}, zeros, {}, {}};
    double batches = 0;
    for (const MinibatchCka& pass : passes_) batches += static_cast<double>(pass.batches());
    const double count = static_cast<double>(passes_.size());
    for (const MinibatchCka& pass : passes_) {
      const std::vector<double> values = pass.matrix(), hsic = pass.hsic_sum();
      for (size_t i = 0; i < cells; ++i) {
        map.hsic.values[i] += hsic[i] / batches;
        map.cka.values[i] += values[i] / count;
        map.deviation[i] += values[i] * values[i] / count;
      }
    }
    for (size_t i = 0; i < cells; ++i) {
      const double variance = map.deviation[i] - map.cka.values[i] * map.cka.values[i];
      map.deviation[i] = count > 1 ? std::sqrt(std::max(0.0, variance) * count / (count - 1)) : 0;
    }
    if (batches_.size() < 2) return map;
    map.first_pass = {rows, columns, passes_.front().matrix()};
    for (const MinibatchCka& batch : batches_) {
      MinibatchCka others = passes_.front();
      others.add(batch, -1);
      map.without_batch.push_back({rows, columns, others.matrix()});
    }
    return map;
  }

 private:
  int64_t rows_, columns_;
  HsicEstimator estimator_;
  std::vector<MinibatchCka> passes_, batches_;
};

Tensor kernel_of(const Tensor& linear, const KernelMeasure& measure) {
  const bool rbf = measure.kernel == KernelMeasure::Kernel::rbf;
  const Tensor kernel = rbf ? rbf_kernel(linear, measure.fraction, measure.width) : linear;
  return reshape(kernel, kernel.shape().inserted(0, 1));
}

constexpr double kKernelBytes = 2.0 * (1 << 30), kCopies = 3;  // of each kernel at the peak
constexpr int64_t kLeastBatch = 32;

// How many buffers a pass shows under `taps`.
int64_t layers_of(const Model& model, const std::vector<std::string>& taps) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = DType::f32});
  int64_t count = 0;
  const ProbeGuard probe(taps, [&](const TapSite&, const Tensor& buffer) {
    ++count;
    return buffer;
  });
  const int64_t side = model.options().image_size;
  model(Tensor::zeros({1, side, side, 3}, DType::f32, model.device()));
  return count;
}

class Collector {
 public:
  Collector(size_t networks, FeatureView view, const std::vector<KernelMeasure>& measures)
      : view_(view), measures_(measures), kernels_(networks) {
    maps_.axes.resize(networks);
    maps_.dead.resize(networks);
    for (BatchKernels& batch : kernels_) batch.layers.resize(measures.size());
  }

  void visit(size_t network, const TapSite& site, const Tensor& buffer) {
    const size_t layer = maps_.axes[network].index_of(site);
    const size_t layers = maps_.axes[network].size();
    bool dead = false;
    const Tensor linear = linear_kernel(view_features(site, buffer, view_), dead);
    maps_.dead[network].resize(layers);
    maps_.dead[network][layer] = maps_.dead[network][layer] || dead;
    for (size_t m = 0; m < measures_.size(); ++m) {
      kernels_[network].layers[m].resize(layers);
      kernels_[network].layers[m][layer] = kernel_of(linear, measures_[m]);
    }
  }

  void finish_batch(int64_t pass) {
    if (self_.empty()) make_sums();
    for (size_t m = 0; m < measures_.size(); ++m) {
      const auto centred = [&](size_t network) {
        const Tensor kernels = concat(std::exchange(kernels_[network].layers[m], {}), 0);
        return centred_kernels(kernels, measures_[m].estimator);
      };
      const Tensor first = centred(0);
      for (size_t s = 0; s < kernels_.size(); ++s) {
        const Tensor rows = s == 0 ? first : centred(s);
        self_[m][s].add(pass, rows, rows, true);
        if (s > 0) cross_[m][s - 1].add(pass, first, rows, false);
      }
    }
  }

  void join(const OwnPart& part) {
    for (std::vector<bool>& dead : maps_.dead) {
      std::vector<double> flags(dead.begin(), dead.end());
      part.join(flags);
      for (size_t i = 0; i < flags.size(); ++i) dead[i] = flags[i] > 0;
    }
    for (auto* sums : {&self_, &cross_})
      for (std::vector<PassSums>& of_measure : *sums)
        for (PassSums& of_network : of_measure) of_network.join(part);
  }

  KernelMaps result() && {
    const std::vector<DepthAxis>& axes = maps_.axes;
    const auto finish = [&](const PassSums& sums, size_t rows, size_t columns) {
      KernelMap map = sums.result(axes[rows], axes[columns]);
      hide_dead(map.cka, maps_.dead[rows], maps_.dead[columns]);
      if (!map.without_batch.empty()) hide_dead(map.first_pass, maps_.dead[rows], maps_.dead[rows]);
      for (LayerMap& without : map.without_batch)
        hide_dead(without, maps_.dead[rows], maps_.dead[rows]);
      return map;
    };
    for (size_t m = 0; m < measures_.size(); ++m) {
      maps_.self.emplace_back();
      maps_.cross.emplace_back();
      for (size_t s = 0; s < axes.size(); ++s) {
        maps_.self[m].push_back(finish(self_[m][s], s, s));
        if (s > 0) maps_.cross[m].push_back(finish(cross_[m][s - 1], 0, s));
      }
    }
    return std::move(maps_);
  }

 private:
  void make_sums() {
    for (const KernelMeasure& measure : measures_) {
      self_.emplace_back();
      cross_.emplace_back();
      for (size_t s = 0; s < kernels_.size(); ++s) {
        const size_t layers = maps_.axes[s].size();
        self_.back().emplace_back(layers, layers, measure.estimator);
        if (s > 0) cross_.back().emplace_back(maps_.axes[0].size(), layers, measure.estimator);
      }
    }
  }

  FeatureView view_;
  std::vector<KernelMeasure> measures_;
  std::vector<BatchKernels> kernels_;                // by network
  std::vector<std::vector<PassSums>> self_, cross_;  // by measure, by network
  KernelMaps maps_;
};

}  // namespace

Tensor view_features(const TapSite& site, const Tensor& buffer, FeatureView view) {
  const int64_t n = buffer.size(0);
  if (view == FeatureView::flat || buffer.rank() == 2)
    return reshape(cast(buffer, DType::f32), Shape{n, buffer.numel() / n});
  if (site.height == 0) return mean(cast(buffer, DType::f32), {1});
  return mean(as_feature_map(site, buffer), {1, 2});
}

std::vector<std::string> taps_of(LayerChoice layers) {
  std::vector<std::string> taps = {"out"};
  if (layers == LayerChoice::all) std::ranges::copy(layer_taps(), std::back_inserter(taps));
  return taps;
}

int64_t batch_within_memory(const std::vector<Subject>& subjects, LayerChoice layers,
                            int64_t measures, int64_t wanted) {
  if (layers == LayerChoice::blocks) return wanted;
  int64_t count = 0;
  for (const Subject& subject : subjects) count += layers_of(*subject.model, taps_of(layers));
  const double cells = kKernelBytes / (kCopies * 8 * static_cast<double>(count * measures));
  return std::min(wanted, std::max(kLeastBatch, static_cast<int64_t>(std::sqrt(cells))));
}

std::string batch_caveat(int64_t batch, int64_t wanted) {
  if (batch >= wanted) return {};
  return fmt::format(
      "Batches of {} pictures instead of {}: the kernels of so many layers would take more than "
      "2 GiB. Only CKA by the unbiased linear estimator does not depend on it.",
      batch, wanted);
}

KernelMaps measure_kernels(const std::vector<Subject>& subjects, const Dataset& data,
                           const LockstepOptions& options, const KernelOptions& of,
                           const std::vector<KernelMeasure>& measures, const LockstepVisitor& also,
                           const std::function<void()>& also_after) {
  Collector collector(subjects.size(), of.features, measures);
  const OwnPart part = run_lockstep(
      subjects, data, options, taps_of(of.layers),
      [&](size_t network, const TapSite& site, const Tensor& buffer) {
        collector.visit(network, site, buffer);
        if (also) also(network, site, buffer);
      },
      [&](int64_t pass, const std::vector<int64_t>&) {
        collector.finish_batch(pass);
        if (also_after) also_after();
      });
  collector.join(part);
  return std::move(collector).result();
}

std::string dead_layers(const KernelMaps& maps, const std::vector<Subject>& subjects) {
  std::string text;
  for (size_t s = 0; s < subjects.size(); ++s) {
    const std::vector<std::string> labels = maps.axes[s].labels();
    for (size_t i = 0; i < labels.size(); ++i)
      if (maps.dead[s][i]) text += (text.empty() ? "" : ", ") + subjects[s].label + " " + labels[i];
  }
  return text.empty()
             ? text
             : "Dead, constant over the pictures, and so without similarity: " + text + ".";
}

}  // namespace passband
