// Lesions: what is a part of a trained network worth? It is taken out, nothing is trained again,
// and the accuracy is measured (Park and Kim 2022, figure 7; Veit et al. 2016).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "analysis/study/depth_axis.h"
#include "analysis/study/progress.h"
#include "analysis/study/subject.h"
#include "nn/tap.h"

namespace passband {

// What stands in the place of a residual branch.
enum class Removal {
  zero,  // nothing: the block is its shortcut
  mean,  // the mean of the branch over the pictures of a batch: what it tells of the single picture
         // is gone
};

// One part that can be taken out.
struct Lesion {
  std::string label;  // "layer1.1", "blocks.2.msa"
  BlockKind kind = BlockKind::conv;
  size_t depth = 0;  // index of its (first) branch among the branches of the network
  std::vector<std::string> branches;  // taps that are replaced
  ParameterRef weight;                // of a convolution that is set to zero meanwhile
};

// The residual branches in forward order, from one pass of a grey picture.
DepthAxis branches_of(const Model& model);

// Each branch by itself: a convolution, attention or lambda block; MSA and MLP of a transformer
// apart.
std::vector<Lesion> branch_lesions(const DepthAxis& branches);
// Whole transformer blocks (MSA and MLP together); empty where each block is one branch.
std::vector<Lesion> block_lesions(const DepthAxis& branches);
// Each convolution wider than 1 x 1 inside a block, by setting its weights to zero: the norms
// around it stay.
std::vector<Lesion> convolution_lesions(const Model& model, const DepthAxis& branches);

// Keeps a part out of the network while alive. One thread, one at a time for each weight.
class LesionGuard {
 public:
  LesionGuard(Model& model, const Lesion& lesion, Removal removal);
  ~LesionGuard();
  LesionGuard(const LesionGuard&) = delete;
  LesionGuard& operator=(const LesionGuard&) = delete;

 private:
  Model& model_;
  ParameterRef weight_;
  Tensor kept_;
  std::optional<ProbeGuard> probe_;
};

// Right and wrong with and without the part, over the same pictures.
struct LesionResult {
  int64_t pictures = 0, intact = 0, lesioned = 0;  // right answers
  int64_t lost = 0, gained = 0;                    // right only with, only without the part

  double change() const;  // of the accuracy, in [-1, 1]
  // What lies within it of the change holds the 95 % interval (see paired_change).
  double interval() const;
};

// Runs pictures through the intact network and through every lesion. Answers of a lesioned network
// that are not finite are wrong; throws NotFinite for those of the intact one. Time: lesions + 1
// forward passes a picture; memory does not grow with the pictures. Weights are restored also when
// it throws.
std::vector<LesionResult> run_lesions(Model& model, const Dataset& data,
                                      const std::vector<Lesion>& lesions, Removal removal,
                                      const PassOptions& options);

// Is the part the last of its resolution?
bool ends_stage(const DepthAxis& branches, size_t depth);

}  // namespace passband
