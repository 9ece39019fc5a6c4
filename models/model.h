// A network with its parameters, by name. All families are made here: see registry.cpp for the
// names.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nn/parameters.h"
#include "nn/tap.h"

namespace passband {

// How a network of convolutions begins. cifar: one 3x3; imagenet: 7x7 of stride 2, and max-pooling
// of stride 2 (or what a family has in their place); automatic: by the side of the pictures.
enum class StemKind : uint8_t { automatic, cifar, imagenet };

struct ModelOptions {
  int64_t classes = 10;
  int64_t image_size = 32;
  double drop_path = 0;  // linear over depth
  double dropout = 0;    // before the classifier
  uint64_t seed = 0;
  DType dtype = DType::f32;            // of the parameters (f64 for checks)
  double bn_momentum = 0, bn_eps = 0;  // of batch norms; 0: the network's own, mostly 0.1 and 1e-5
  bool bn_fixed_scale = false;         // their scales stay 1 (ParameterStore)
  StemKind stem = StemKind::automatic;

  // Whether the network begins as for small pictures.
  bool begins_small() const;
};

class Model {
 public:
  virtual ~Model() = default;
  // images (N, H, W, 3), normalised, in any floating type (cast to context().compute) -> logits (N,
  // classes) f32 (f64). H and W are the image_size of the options, or less where that may be.
  Tensor operator()(const Tensor& images) const;

  const std::string& name() const { return name_; }
  // "resnet", "alternet", "vit", "swin", ...: recipes are by family.
  const std::string& family() const { return family_; }
  const std::string& pattern() const { return pattern_; }  // "CCC.CCCM.CCCCCM.CMCM"; empty without
  // What the residual branches compute, in forward order: what a network is made of is read here,
  // not off its name or pattern.
  const std::vector<BlockKind>& branches() const { return branches_; }
  // The least side of pictures that the network also takes, its sites being those of image_size;
  // image_size itself where tokens or positions fix it.
  int64_t least_side() const { return least_side_ > 0 ? least_side_ : options_.image_size; }
  int64_t count(BlockKind kind) const;  // of branches
  bool has(BlockKind kind) const { return count(kind) > 0; }
  const ModelOptions& options() const { return options_; }
  // Moves parameters and buffers; the images must come from there.
  void to(Device device) { store_.to(device); }
  Device device() const { return store_.values().device(); }
  ParameterStore& store() { return store_; }
  const ParameterStore& store() const { return store_; }
  // Multiply-accumulates of one forward pass of one image (convolutions, linear, attention and
  // lambda products).
  int64_t macs() const { return macs_; }

 protected:
  virtual Tensor forward(const Tensor& images) const = 0;

  std::string name_, family_, pattern_;
  std::vector<BlockKind> branches_;
  ModelOptions options_;
  ParameterStore store_;
  int64_t macs_ = 0;
  int64_t least_side_ = 0;  // 0: image_size
};

// Makes a model by name ("resnet50", "alternet_18", "vit_tiny_patch4_gap", or a pattern
// "CC.CM.CM.CM"), initialised. Unknown names throw UsageError with the nearest names. `build =
// false` registers parameters without memory (counts).
std::unique_ptr<Model> make_model(const std::string& name, const ModelOptions& options = {},
                                  bool build = true);

// The family of a model by name, without making the model. Throws as make_model does.
std::string family_of(const std::string& name);
// Throws the UsageError of make_model for pictures that a network of that name does not take.
void check_image_size(const std::string& name, int64_t image_size);

struct ModelInfo {
  std::string name, family, pattern;
  int64_t parameters = 0, macs = 0;
};
std::vector<std::string> model_names();
std::vector<ModelInfo> list_models(int64_t classes, int64_t image_size);

}  // namespace passband
