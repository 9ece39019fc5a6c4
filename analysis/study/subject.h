// A subject of analysis: a network with the pictures it is shown. And the pass that all analyses
// are built on: run the network over pictures in evaluation mode and visit its tapped buffers.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "analysis/study/own_part.h"
#include "analysis/study/progress.h"
#include "data/dataset.h"
#include "models/model.h"
#include "models/run.h"

namespace passband {

// A network under study. The first subject of a list is the run itself; others stand beside it.
struct Subject {
  std::string label;  // "alternet", "alternet, untrained"
  std::shared_ptr<Model> model;
  std::string fingerprint;  // of the weights, for caching
  // how it was trained; none for --weights and random weights
  std::shared_ptr<const RunDescription> run = {};
};

struct PassOptions {
  int64_t images = 1000;  // taken evenly from the data set; all when it has fewer
  int64_t batch_size = 200;
  bool whole_batches = false;  // leave out an incomplete last batch
  Progress progress = {};      // told after every batch
};

// Pictures `indices` of the data as the network sees them: (N, side, side, 3) f32, normalised, on
// its device.
Tensor network_images(const Model& model, const Dataset& data, const std::vector<int64_t>& indices);

// Called for every tapped buffer, in forward order, activations in f32, on the network's device.
using TapVisitor = std::function<void(const TapSite&, const Tensor&)>;
// Called after each batch.
using BatchVisitor = std::function<void(const std::vector<int64_t>& indices, const Tensor& images,
                                        const Tensor& logits)>;

// Runs `model` over pictures of `data`, showing the buffers named in `taps` to `visit`. No graph is
// recorded; memory does not grow with the number of pictures. Throws NotFinite for such a buffer or
// logits. Time: one forward pass per picture plus what `visit` does. Where several processes split
// pictures, this one visits the part that is returned: what was added up is to be joined.
OwnPart run_pass(const Model& model, const Dataset& data, const PassOptions& options,
                 const std::vector<std::string>& taps, const TapVisitor& visit,
                 const BatchVisitor& after_batch = {});

// Such a pass for logits alone. Processes that split pictures give each other theirs: all visit all
// pictures, in batches of the same size.
using LogitsVisitor =
    std::function<void(const std::vector<int64_t>& indices, const Tensor& logits)>;
void run_logits(const Model& model, const Dataset& data, const PassOptions& options,
                const LogitsVisitor& visit);

// The pictures such a pass visits: `count` indices spread evenly over the data set.
std::vector<int64_t> spread_indices(int64_t dataset_count, int64_t count);

// The class of the largest logit of each row of logits (N, classes); `rank` 1 gives the runner-up,
// and so on. -1 for a row that is not finite: no answer, and never a right one.
std::vector<int64_t> classes_of(const Tensor& logits, int64_t rank = 0);
// The same of what the network gives each of images (N, H, W, 3), normalised, in evaluation mode.
// Throws NotFinite.
std::vector<int64_t> classes_read(const Model& model, const Tensor& images, int64_t rank = 0);

// A tapped buffer as a feature map (N, H, W, C) f32, without prefix tokens.
Tensor as_feature_map(const TapSite& site, const Tensor& buffer);

}  // namespace passband
