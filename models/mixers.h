// Mixers of places: the 3x3 convolution of a residual block, and whatever a pattern's letter puts
// in its stead.
#pragma once
#include <memory>

#include "models/network.h"
#include "nn/grid.h"
#include "nn/parameters.h"
#include "nn/tap.h"

namespace passband {

// Where a mixer stands.
struct MixerPlan {
  Scope scope;  // of the block
  char letter = 'C';
  int64_t width = 0;  // channels, before and after
  int64_t stride = 1;
  int64_t groups = 1;             // of a C
  int64_t heads = 1, window = 1;  // of attention; the window as wanted, see fit_window
  Grid grid;                      // extent of the input
  double patch = 1;               // input pixels per grid step of the input
};

class Mixer {
 public:
  virtual ~Mixer() = default;
  // (N, H, W, width) -> (N, H / stride, W / stride, width). What cannot stride itself works at the
  // incoming resolution, and an average pool follows (as published for lambda layers).
  virtual Tensor operator()(const Tensor& x) const = 0;
};

// Where a W, S or U looks: windows of this side, moved by `shift`. Other letters: 0 and 0.
struct MixerWindows {
  int64_t side = 0, shift = 0;
};
MixerWindows windows_of(const MixerPlan& plan, const NetworkSpec& spec);

std::unique_ptr<Mixer> make_mixer(const MixerPlan& plan, const NetworkSpec& spec);

}  // namespace passband
