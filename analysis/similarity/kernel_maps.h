// Maps of kernel similarity (CKA, HSIC) of several networks from one pass over the pictures: every
// layer of every network with itself, and the first network's layers with those of each other one.
//
// Time: a forward pass per picture and network; per batch of n, n^2 p for the kernel of a layer of
// p features (once, whatever the number of measures), n^2 for each further measure, and one product
// of n^2 L L' for all pairs of layers. Memory: n^2 doubles for each layer, network and measure,
// and L^2 for each batch of a network with itself.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "analysis/similarity/cka.h"
#include "analysis/similarity/layer_map.h"
#include "analysis/study/lockstep.h"

namespace passband {

struct KernelMeasure {
  enum class Kernel : uint8_t { linear, rbf } kernel = Kernel::linear;
  HsicEstimator estimator = HsicEstimator::unbiased;
  double fraction = 0.4;  // width of the radial kernel
  RbfWidth width = RbfWidth::median_distance;
};

struct KernelMap {
  LayerMap cka;
  LayerMap hsic;
  std::vector<double> deviation;  // of CKA over the passes, per cell (zeros for one pass)
  // CKA of the first pass and what it is without each of its batches, for a jackknife: of networks
  // with themselves, and none where there is one batch.
  LayerMap first_pass;
  std::vector<LayerMap> without_batch;
};

struct KernelMaps {
  std::vector<DepthAxis> axes;                // by network
  std::vector<std::vector<bool>> dead;        // by network, by layer
  std::vector<std::vector<KernelMap>> self;   // by measure, by network
  std::vector<std::vector<KernelMap>> cross;  // by measure, first network against network 1, 2, ...
};

// How a tapped buffer becomes the rows of one layer: flattened, or averaged over positions.
enum class FeatureView : uint8_t { flat, pooled };
// Which layers are compared: the outputs of blocks, or those of every layer within them as well
// (convolutions, norms, queries, hidden layers: layer_taps of nn/tap.h).
enum class LayerChoice : uint8_t { blocks, all };
std::vector<std::string> taps_of(LayerChoice layers);

// Pictures a batch for the kernels of all layers of these networks: `wanted`, or fewer where `all`
// layers under `measures` measures would take more than 2 GiB. Time: a forward pass of one picture.
int64_t batch_within_memory(const std::vector<Subject>& subjects, LayerChoice layers,
                            int64_t measures, int64_t wanted);
// Says so, where it is fewer; else nothing.
std::string batch_caveat(int64_t batch, int64_t wanted);

// What the sections on kernels have to choose.
struct KernelOptions {
  LayerChoice layers = LayerChoice::blocks;
  double rbf_fraction = 0.4;  // see KernelMeasure
  RbfWidth rbf_width = RbfWidth::median_distance;
  FeatureView features = FeatureView::flat;
};

// (N, p) f32. The class token, where there is one, is part of flat features and left out of pooled
// ones; what lies on no grid is averaged over its first dimension but the pictures'.
Tensor view_features(const TapSite& site, const Tensor& buffer, FeatureView view);

// CKA is averaged over passes (each a sum over its batches). `also` sees every buffer too,
// `also_after` every batch.
KernelMaps measure_kernels(const std::vector<Subject>& subjects, const Dataset& data,
                           const LockstepOptions& options, const KernelOptions& of,
                           const std::vector<KernelMeasure>& measures,
                           const LockstepVisitor& also = {},
                           const std::function<void()>& also_after = {});

// "Dead (constant over the pictures): layer3.0, layer4.0." or nothing, for the caveats of a
// section.
std::string dead_layers(const KernelMaps& maps, const std::vector<Subject>& subjects);

}  // namespace passband
