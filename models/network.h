// One builder for ResNet, LambdaResNet, AlterNet and every mixture of them. A network is a pattern:
// one letter per block (C convolution, M multi-head self-attention, L lambda), one word per stage:
// "CCC.CCCM.CCCCCM.CMCM".
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "models/family.h"

namespace passband {

struct NetworkSpec {
  std::string family = "resnet";
  std::string pattern;        // images up to kCifarSize
  std::string pattern_large;  // larger images, where it differs
  bool bottleneck = true;     // 1x1, 3x3, 1x1 to 4 times the width; otherwise two 3x3
  // BN-ReLU before each convolution (He et al. 2016b); M blocks need it.
  bool preactivation = false;
  // Of the 3x3, per stage; doubled beyond the end.
  std::vector<int64_t> widths = {64, 128, 256, 512};
  int64_t stem = 0;  // channels that the stem makes; 0: those of the first stage
  // Of the first block of each stage; 2 beyond the end.
  std::vector<int64_t> strides = {1, 2, 2, 2};
  // Basic blocks of stride 2 do not step over places but take the largest of four behind their
  // first 3x3 (as the CIFAR-10 speed records since Page 2018); their shortcuts take the mean.
  bool pooled = false;
  int64_t groups = 1, group_width = 64;         // ResNeXt: 32 and 4
  std::vector<int64_t> heads = {3, 6, 12, 24};  // of M, W and S, per stage; doubled beyond the end
  int64_t head_dim = 64;
  // Of attention; 0: 4 for images up to kCifarSize, 7 above. See fit_window.
  int64_t window = 0;
  int64_t shift = 0;   // of S blocks' windows; 0: half a window
  int64_t kernel = 7;  // side of the depthwise convolutions of D and U blocks
  int64_t pool = 3;    // side of the means of P blocks
  // h, k, u, r of L blocks.
  int64_t lambda_heads = 4, lambda_depth = 16, lambda_intra = 1, lambda_window = 23;
  // The last norm of a residual branch starts at 0 (post-activation only).
  bool zero_last_gamma = false;
  // Shortcuts without parameters (He et al. 2016a, section 4.2): where a block changes the shape,
  // every stride-th pixel and channels of zeros, half of them on either side.
  bool padded_shortcuts = false;
  bool cifar_stem = false;        // also for images above kCifarSize
  std::string classifier = "fc";  // name of the last layer, post-activation only
  // BiT's trunk (Kolesnikov et al. 2020, pre-activation): group norms, weight standardisation, and
  // zeros around the map where the stem pools.
  bool bit = false;
  // ResNet-RS trunk: deep stem, pooled shortcuts, squeeze-and-excitation in C blocks.
  bool resnet_rs = false;
};

// Images up to this side get the CIFAR stem (3x3 convolution of stride 1, no pooling); larger ones
// 7x7/2 and pooling.
inline constexpr int64_t kCifarSize = 64;

// The window side that tiles a map of `side`: its smallest divisor that is at least `wanted`, or
// the whole side.
int64_t fit_window(int64_t side, int64_t wanted);

std::unique_ptr<Model> make_network(const std::string& name, const NetworkSpec& spec,
                                    const ModelOptions& options);

Architecture architecture_of(const NetworkSpec& spec);

}  // namespace passband
