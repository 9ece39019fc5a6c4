// Vision transformer (Dosovitskiy et al. 2021), as timm builds it: pre-norm blocks, learned
// position embeddings.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "models/model.h"

namespace passband {

struct VitSpec {
  int64_t width = 192, depth = 12, heads = 3;
  int64_t patch = 16;
  bool pooled = false;  // no class token; the classifier reads the mean over tokens
  bool qkv_bias = true;
  // block (1, 2, ...) whose MSA and MLP have no shortcut; 0: every block has both
  int64_t no_skip = 0;
};

// "vit_tiny_patch16", "vit_base_patch2_gap": sizes tiny, small, base, large, huge. "_gap" pools
// instead of using a class token. Queries, keys and values have a bias as in timm, except at patch
// 2, the form that Park and Kim (2022) trained on CIFAR without; "_qkvbias" and "_noqkvbias" say it
// explicitly. "_noskip7" leaves out the shortcuts of block 7, to train what Raghu et al. (2021,
// figure 8) did. Nothing when it is not such a name.
std::optional<VitSpec> vit_spec(const std::string& name);

inline constexpr const char* kVitFamily = "vit";

// Throws UsageError when the patch does not divide the image.
std::unique_ptr<Model> make_vit(const std::string& name, const VitSpec& spec,
                                const ModelOptions& options);

}  // namespace passband
