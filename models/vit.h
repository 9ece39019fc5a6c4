// Vision transformer (Dosovitskiy et al. 2021), as timm builds it: pre-norm blocks, learned
// position embeddings.
#pragma once
#include "models/family.h"

namespace passband {

struct VitSpec {
  int64_t width = 192, depth = 12, heads = 3;
  int64_t mlp = 4;         // hidden channels of an MLP for each of the width
  int64_t patch = 0;       // 0: 4 for pictures up to kCifarSize, 16 for larger ones
  bool pooled = false;     // no class token; the classifier reads the mean over tokens
  bool distilled = false;  // DeiT's second token, with a classifier of its own
  bool qkv_bias = true;
  // block (1, 2, ...) whose MSA and MLP have no shortcut; 0: every block has both
  int64_t no_skip = 0;
  int64_t hydra = 0;  // of the last blocks have Hydra attention
};

// A network of one's own sizes; its store is not built yet.
std::unique_ptr<Model> make_vit(const std::string& name, const VitSpec& spec,
                                const ModelOptions& options);

ModelFamily vit_family();

}  // namespace passband
