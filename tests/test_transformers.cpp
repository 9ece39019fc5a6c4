// Transformers and their kin besides ViT: published numbers of parameters, to the unit, and names.
#include <cmath>

#include "models/weight_names.h"
#include "tests/model_counts.h"

namespace passband {
namespace {

using testing::check_counts;
using testing::parameters_of;

TEST_CASE("Swin transformers have the published numbers of parameters") {
  check_counts({{"swin_tiny", 10, 32, 27'492'916},
                {"swin_tiny", 100, 32, 27'562'126},
                {"swin_tiny", 1000, 224, 28'288'354},
                {"swin_small", 1000, 224, 49'606'258},
                {"swin_base", 1000, 224, 87'768'224}});
}

TEST_CASE("Twins transformers have timm's numbers of parameters") {
  check_counts({{"twins_svt_small", 1000, 224, 24'060'776},
                {"twins_svt_base", 1000, 224, 56'070'952},
                {"twins_svt_large", 1000, 224, 99'271'400}});
}

TEST_CASE("Pooling-based vision transformers have the published numbers of parameters") {
  check_counts({{"pit_ti", 10, 32, 4'559'306},
                {"pit_ti", 100, 32, 4'582'436},
                {"pit_ti", 1000, 224, 4'847'272},
                {"pit_xs", 1000, 224, 10'618'888},
                {"pit_s", 1000, 224, 23'461'912},
                {"pit_b", 1000, 224, 73'764'840}});
}

TEST_CASE("MLP-Mixers have the published numbers of parameters") {
  check_counts({{"mixer_tiny", 10, 32, 4'746'506},
                {"mixer_tiny", 100, 32, 4'769'636},
                {"mixer_tiny_patch4", 100, 32, 4'384'100},
                {"mixer_tiny", 1000, 224, 5'071'112},
                {"mixer_small", 1000, 224, 18'528'264},
                {"mixer_small_patch32", 1000, 224, 19'104'624},
                {"mixer_base", 1000, 224, 59'880'472},
                {"mixer_large", 1000, 224, 208'196'168}});
}

TEST_CASE("DeiT, ConvViT and Hydra transformers have the published numbers of parameters") {
  check_counts({{"deit_tiny", 1000, 224, 5'717'416},
                {"deit_tiny_distilled", 1000, 224, 5'910'800},
                {"deit_small_distilled_patch16", 1000, 224, 22'436'432},
                {"deit_base", 1000, 224, 86'567'656},
                {"convvit_tiny_kernel3", 100, 32, 5'372'836},
                {"convvit_tiny_kernel5", 100, 32, 5'372'836},
                {"convvit_tiny_kernel8", 100, 32, 5'372'836},
                {"convvit_tiny_patch2_kernel3", 100, 32, 5'402'788},
                {"vit_base_patch16_hydra", 1000, 224, 86'567'656},
                {"vit_base_patch16_hydra2", 1000, 224, 86'567'656}});
}

TEST_CASE("Hydra attention stands in the last blocks that a name asks for") {
  const auto model = make_model("vit_tiny_patch4_hydra2", {}, false);
  CHECK(model->count(BlockKind::msa) == 10);
  CHECK(model->count(BlockKind::hydra) == 2);
  CHECK(model->branches()[18] == BlockKind::msa);
  CHECK(model->branches()[20] == BlockKind::hydra);
  CHECK(make_model("vit_tiny_patch4_hydra", {}, false)->count(BlockKind::hydra) == 12);
}

TEST_CASE("the classifier of every family is known as one") {
  for (const char* name :
       {"resnet20", "resnet", "vit", "deit_tiny_distilled", "swin", "pit", "twins", "mixer",
        "convvit", "cct_2_3x2", "resnetv2_50x1_bit", "lambda_resnet26t", "C.CM.CW.CD"}) {
    CAPTURE(name);
    const auto seven = make_model(name, {.classes = 7}, false);
    const auto ten = make_model(name, {.classes = 10}, false);
    for (size_t i = 0; i < ten->store().parameters().size(); ++i) {
      const ParameterRef& a = seven->store().parameters()[i];
      CAPTURE(a->name);
      CHECK(is_classifier(a->name) == (a->shape != ten->store().parameters()[i]->shape));
    }
  }
}

TEST_CASE("Compact convolutional transformers have the published numbers of parameters") {
  const auto millions = [](const char* name, int64_t classes, int64_t side) {
    return std::round(static_cast<double>(parameters_of(name, classes, side)) / 1e4) / 100;
  };
  CHECK(millions("cct_2_3x2", 10, 32) == 0.28);
  CHECK(millions("cct_7_3x1", 10, 32) == 3.76);
  CHECK(std::abs(millions("cct_14_7x2", 1000, 224) - 22.36) < 0.02);
}

}  // namespace
}  // namespace passband
