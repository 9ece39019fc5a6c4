// Attention rollout and its peers, through networks that mix attention with convolution, windows
// and strides.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "analysis/relevance/attention_step.h"
#include "analysis/relevance/transport.h"
#include "models/model.h"

namespace passband {

// A layer's output in forward order, with the attention inside it, if there is one.
struct TracedLayer {
  TapSite site;       // of the output
  TapSite attention;  // of the probabilities, when defined
  // (N * windows, heads, T, T) on the network's device; gradients of the logits asked for
  Tensor probabilities, gradients;
};

struct Trace {
  std::vector<TracedLayer> layers;
  Tensor logits;  // (N, classes)
};

// Runs the model over images (N, H, W, 3), normalised, and keeps every layer's attention (of a
// Hydra layer what hydra_maps.h calls naive, without gradients); with `classes` (one for each
// picture) also its gradient d logit_c / dA, later layers' attention depending on it as it does.
// Time: one pass, or a pass and its backward. Memory: all probabilities of N pictures (with
// gradients also the graph).
Trace trace(const Model& model, const Tensor& images, const std::vector<int64_t>& classes = {});

// How relevance passes a convolution block.
enum class ConvolutionStep : uint8_t {
  norms,  // by the norms of what it moves (block_transport.h)
  area,   // it is taken to keep positions; a stride spreads evenly over the finer cells
};

// Where relevance starts in the highest layer.
enum class RolloutStart : uint8_t {
  read,  // what the classifier reads: the class token, or all places alike (average pooling)
  class_weighted,  // places by their positive share in the logit of the class (class activation
                   // map), see read_out
};

struct RolloutSettings {
  AttentionStepOptions attention = {};
  ConvolutionStep convolution = ConvolutionStep::norms;
  RolloutStart start = RolloutStart::read;
};

// Relevance of each cell of the lowest layer's grid, for every picture; row-major (count, height,
// width).
struct RelevanceMaps {
  int64_t count = 0, height = 0, width = 0;
  std::vector<double> values;
};

// Rollout of every picture, one set of maps for each of `settings`, which share one trace.
// `classes` (one for each picture) are needed by the rules and the start that know a class. Time
// per picture: T^2 per attention layer and setting, and block_transports once for convolutions by
// norms. Attention layers are multiplied on the device; the sparse steps between them take the
// relevance of the places to the processor and back. Memory: the transports of all convolutions of
// N pictures.
std::vector<RelevanceMaps> rollouts(const Model& model, const Tensor& images,
                                    const std::vector<RolloutSettings>& settings,
                                    const std::vector<int64_t>& classes = {});

// Pearson's correlation of two maps of equal size; NaN when one of them is flat.
double correlation(std::span<const double> a, std::span<const double> b);

// Share of a map's sum in the brightest quarter of its cells, mean over maps: 0.25 for flat maps.
double concentration(const RelevanceMaps& maps);

}  // namespace passband
