// Every network by name: the table of families.
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "models/airbench.h"
#include "models/byobnet.h"
#include "models/cct.h"
#include "models/convvit.h"
#include "models/mixer.h"
#include "models/pattern.h"
#include "models/pit.h"
#include "models/presets.h"
#include "models/published.h"
#include "models/swin.h"
#include "models/twins.h"
#include "models/vit.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

// The first family that knows a name has it.
const std::vector<ModelFamily>& families() {
  static const std::vector<ModelFamily> table = {
      preset_family(), byobnet_family(),  vit_family(),    swin_family(),
      pit_family(),    twins_family(),    mixer_family(),  convvit_family(),
      cct_family(),    airbench_family(), pattern_family()};
  return table;
}

Architecture find_architecture(const std::string& name) {
  // Names stand in messages, which are one line.
  if (std::ranges::any_of(name, [](unsigned char c) { return std::iscntrl(c) != 0; }))
    throw UsageError(concat_text("model ", quote(name), ": a name holds no control characters"));
  std::vector<std::string> candidates = names_behind(name);
  candidates.insert(candidates.begin(), name);
  for (const std::string& candidate : candidates)
    for (const ModelFamily& family : families())
      if (auto found = family.find(candidate)) return *found;
  throw UsageError(concat_text("unknown model ", quote(name), did_you_mean(name, model_names()),
                               " (a pattern such as CCC.CCCM.CCCCCM.CMCM is a model too)"));
}

void set_batch_norms(const ModelOptions& options, ParameterStore& store) {
  if (options.bn_momentum > 0) store.batch_norms().momentum = options.bn_momentum;
  if (options.bn_eps > 0) store.batch_norms().eps = options.bn_eps;
  if (options.bn_fixed_scale) store.fix_batch_norm_scales();
}

std::string refusal(const Architecture& architecture, int64_t image_size) {
  std::string own = architecture.refusal ? architecture.refusal(image_size) : "";
  if (!own.empty() || (image_size >= 8 && image_size <= 4096)) return own;
  return concat_text("it takes pictures of 8 to 4096 pixels a side, not ", image_size);
}

void check_size(const std::string& name, const Architecture& architecture, int64_t image_size) {
  const std::string refused = refusal(architecture, image_size);
  if (!refused.empty()) throw UsageError(concat_text("model ", name, ": ", refused));
}

// Parameters, their gradients and what tells which of them decay.
void check_memory(const Model& model, DType dtype) {
  const auto count = static_cast<double>(model.store().parameter_count());
  const double need = count * static_cast<double>(2 * size_of(dtype) + size_of(DType::f32)),
               have = static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                      static_cast<double>(sysconf(_SC_PAGESIZE));
  if (need > have)
    throw UsageError(concat_text("model ", model.name(), ": its ", count / 1e9,
                                 " billion parameters and their gradients need ", need / 1e9,
                                 " GB and this machine has ", have / 1e9,
                                 " GB; choose a smaller one"));
}

}  // namespace

std::string untiled(int64_t patch, int64_t side) {
  if (side >= patch && side % patch == 0) return "";
  return concat_text("patches of ", patch, " pixels do not tile a ", side, "x", side,
                     " image; it takes sides that are multiples of ", patch);
}

std::string family_of(const std::string& name) { return find_architecture(name).family; }

bool chooses_stem(const std::string& name) { return find_architecture(name).chooses_stem; }

std::unique_ptr<Model> make_model(const std::string& name, const ModelOptions& options,
                                  bool build) {
  if (options.classes < 1)
    throw UsageError(
        concat_text("model ", name, ": needs at least one class, not ", options.classes));
  const Architecture found = find_architecture(name);
  check_size(name, found, options.image_size);
  if (options.stem != StemKind::automatic && !found.chooses_stem)
    throw UsageError(concat_text("model ", name,
                                 ": has one stem alone, not CIFAR's and ImageNet's to choose from",
                                 " as resnet50 and its kin; leave out --stem"));
  std::unique_ptr<Model> model = found.make(name, options);
  set_batch_norms(options, model->store());
  if (!build) return model;
  check_memory(*model, options.dtype);
  model->store().build(options.seed, options.dtype);
  return model;
}

void check_image_size(const std::string& name, int64_t image_size) {
  check_size(name, find_architecture(name), image_size);
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const ModelFamily& family : families())
    for (std::string& name : family.names()) names.push_back(std::move(name));
  return names;
}

std::vector<ModelInfo> list_models(int64_t classes, int64_t image_size) {
  std::vector<ModelInfo> list;
  for (const std::string& name : model_names()) {
    if (!refusal(find_architecture(name), image_size).empty()) continue;
    const auto model = make_model(name, {.classes = classes, .image_size = image_size}, false);
    list.push_back(
        {name, model->family(), model->pattern(), model->store().parameter_count(), model->macs()});
  }
  return list;
}

}  // namespace passband
