// Residual blocks of the pattern builder. Each shows the taps "branch", "skip" and "out".
#pragma once
#include <memory>
#include <string>

#include "models/network.h"
#include "nn/grid.h"
#include "nn/parameters.h"
#include "nn/tap.h"

namespace passband {

// Where a block stands and what it is to become.
struct BlockPlan {
  // Of its parameters, and its name while it runs: "layer3.1", "stages.2.blocks.1".
  Scope scope;
  char letter = 'C';
  int64_t in = 0, out = 0;  // channels of the residual stream before and after
  int64_t width = 0;        // of the mixer
  int64_t stride = 1;
  int64_t heads = 1, window = 1;  // of attention; the window as wanted, see fit_window
  Grid grid;                      // extent of the input
  double patch = 1;               // input pixels per grid step of the input
  double drop_path = 0;
};

class Block {
 public:
  virtual ~Block() = default;
  // (N, H, W, in) -> (N, H / stride, W / stride, out).
  virtual Tensor operator()(const Tensor& x) const = 0;
  const TapSite& site() const { return site_; }

 protected:
  Block(const BlockPlan& plan, const NetworkSpec& spec);
  // The "branch" and "skip" taps, drop path, and the sum.
  Tensor add_branch(const Tensor& branch, const Tensor& skip) const;

  std::string name_;
  double drop_path_;
  TapSite site_;  // of the block's output; with the windows of attention on that very map
};

// Of the spec's trunk; M blocks are of pre-activation trunks only.
std::unique_ptr<Block> make_block(const BlockPlan& plan, const NetworkSpec& spec);
std::unique_ptr<Block> make_preactivation_block(const BlockPlan& plan, const NetworkSpec& spec);

}  // namespace passband
