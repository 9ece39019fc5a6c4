// Edits of a network, each at a named buffer, a weight or the picture: what a page lets its reader
// change, done by the program itself.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "analysis/explore/graph.h"
#include "analysis/study/subject.h"

namespace passband {

enum class EditKind : uint8_t {
  branch,       // a residual branch gives 0: the block is its shortcut
  head,         // a head gives 0
  channel,      // a channel gives 0
  uniform,      // every token that a query sees weighs the same
  mean_kernel,  // every filter of a convolution is replaced by its mean over the window
  low_pass,     // of a map, frequencies up to `number` are kept
  high_pass,    // of a map, frequencies above `number` are kept
  noise,        // noise of one band of frequencies is added to the picture
};
std::string_view name_of(EditKind kind);

struct Edit {
  EditKind kind = EditKind::branch;
  // Path of the tap (branch, heads, out, attention), name of the weight (mean_kernel), or "picture"
  // (noise).
  std::string path;
  // Head or channel; for a pass the frequency in units of the Nyquist frequency, radial: 2 sqrt((u
  // / H)^2 + (v / W)^2); for noise the centre of the band in units of pi, of the larger of both
  // axes.
  double number = 0;
  double heads = 0;    // into how many equal parts the channels fall (head)
  double epsilon = 0;  // of noise, in units of the normalised picture
};

// Half the width of a band of noise, in units of pi.
constexpr double kNoiseHalfWidth = 0.1;

// Every edit that a page offers with an effect measured: each branch, each head, each attention
// made uniform, each window of a convolution made even, block outputs of 4 x 4 and larger passed at
// 1/4, 1/2 and 3/4, noise of eight bands, and each channel of block outputs that have at most
// `most_channels`.
std::vector<Edit> edits_of(const NetworkGraph& graph, int64_t most_channels);

// The network under these edits while alive, weights restored behind it. One at a time for a
// network; noise is not in the network: see edited_pictures.
class EditGuard {
 public:
  EditGuard(Model& model, const std::vector<Edit>& edits);
  ~EditGuard();
  EditGuard(const EditGuard&) = delete;
  EditGuard& operator=(const EditGuard&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// `images` (N, side, side, 3), pictures `indices` of a data set, with the noise of the edits. The
// noise of a picture is a function of its index: eps * sign(uniform - 1/2), the band of it.
Tensor edited_pictures(const Tensor& images, const std::vector<int64_t>& indices,
                       const std::vector<Edit>& edits);

}  // namespace passband
