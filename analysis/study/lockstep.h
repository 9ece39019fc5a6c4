// One batch of pictures through several networks before the next batch: what comparisons between
// networks are built on, with memory for one batch only.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "analysis/study/subject.h"

namespace passband {

struct LockstepOptions {
  int64_t images = 1024;     // taken evenly from the data set; all when it has fewer
  int64_t batch_size = 256;  // an incomplete last batch is left out unless it is the only one
  int64_t passes = 1;        // over the same pictures, from the second on in shuffled order
  uint64_t seed = 0;         // of the shuffles
  Progress progress = {};    // told after every batch of every network
};

// Called for every tapped buffer of network `subject`, in forward order.
using LockstepVisitor =
    std::function<void(size_t subject, const TapSite& site, const Tensor& buffer)>;
// Called when all networks have seen a batch; `pass` counts from 0.
using LockstepBatch = std::function<void(int64_t pass, const std::vector<int64_t>& indices)>;

// All networks see the same pictures in the same order, in evaluation mode, f32, without a graph.
// Throws NotFinite for tapped buffers or logits. Where several processes split pictures, this one
// sees the batches of the part that is returned, in every pass: what was added up is to be joined.
// Time: one forward pass per picture, network and pass.
OwnPart run_lockstep(const std::vector<Subject>& subjects, const Dataset& data,
                     const LockstepOptions& options, const std::vector<std::string>& taps,
                     const LockstepVisitor& visit, const LockstepBatch& after_batch);

}  // namespace passband
