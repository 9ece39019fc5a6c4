// Recipes: by family and by name, and what they say that does not hold for what is given.
#include <doctest/doctest.h>

#include "tests/message_of.h"
#include "train/config.h"
#include "train/recipes.h"

using namespace passband;

TEST_CASE("families of transformers are trained as one") {
  for (const char* model : {"vit", "swin", "pit", "twins", "mixer", "convvit", "cct_2_3x2"}) {
    CAPTURE(model);
    const bool alone = model == std::string("vit");  // where more was measured
    CHECK(resolve({{"model", model}}).opt == (alone ? OptimizerKind::muon : OptimizerKind::adamw));
    CHECK(resolve({{"model", model}}).muon_rest ==
          (alone ? BaseOptimizerKind::adamw : BaseOptimizerKind::sgd));
    CHECK(resolve({{"model", model}, {"recipe", "cifar-long"}}).opt == OptimizerKind::adamw);
  }
  CHECK(resolve({{"model", "resnet"}, {"recipe", "cifar-long"}}).opt == OptimizerKind::sgd);
}

TEST_CASE("what a recipe says of an optimiser or of random weights holds for these alone") {
  for (const char* model : {"resnet", "alternet_50", "lambda_resnet50", "C.CM", "CC.CC:preact"}) {
    CAPTURE(model);
    const RunSettings quick = resolve({{"model", model}});
    CHECK(quick.opt == OptimizerKind::muon);
    CHECK(quick.bias_lr_scale == 256);
    CHECK(quick.whiten);
    CHECK(quick.init == "dirac");
  }
  CHECK(resolve({{"model", "resnet"}, {"opt", "adamw"}}).bias_lr_scale == 1);
  CHECK(resolve({{"model", "resnet"}, {"opt", "muon"}}).bias_lr_scale == 256);
  CHECK(resolve({{"model", "resnet"}, {"opt", "sgd"}, {"bias_lr_scale", "4"}}).bias_lr_scale == 4);
  CHECK(resolve({{"recipe", "cifar10-94"}}).whiten_bias_lr == 106);
  CHECK(resolve({{"recipe", "cifar10-94"}, {"opt", "adamw"}}).whiten_bias_lr == 0);
  // a recipe is for every network of its family
  for (const char* model :
       {"vit", "vit_hydra", "vit_tiny_patch4_hydra", "vit_tiny_patch4_hydra2"}) {
    CAPTURE(model);
    CHECK(resolve({{"model", model}}).init == "standard");
    CHECK(resolve({{"model", model}}).positions == "sincos");
  }
  for (const Values& given : {Values{{"hflip", "0"}}, Values{{"aug_repeats", "2"}}}) {
    Values all = given;
    all.emplace_back("model", "resnet");
    CHECK(resolve(all).flip == FlipKind::random);
  }
  const RunSettings begun = resolve({{"model", "resnet"}, {"weights", "a.safetensors"}});
  CHECK(begun.init == "standard");
  CHECK_FALSE(begun.bn_fixed_scale);
  CHECK_FALSE(begun.whiten);
  CHECK(message_of<UsageError>([] {
          resolve({{"model", "resnet"}, {"weights", "a.safetensors"}, {"whiten", "true"}});
        }).find("whiten: the first layer comes from weights") == 0);
}

TEST_CASE("recipes go by name, each is read whole, and Park and Kim's is theirs") {
  const std::vector<std::string> names = recipe_names();
  for (const char* name : {"fine-tune", "imagenet-300", "park-kim", "quick", "resnet-200"})
    CHECK(std::ranges::find(names, name) != names.end());
  for (const BuiltInRecipe& recipe : built_in_recipes()) {
    CAPTURE(recipe.name);
    CHECK(resolve({{"recipe", std::string(recipe.name)}}).recipe == recipe.name);
    CHECK(about(recipe).size() > 20);
    published_results(std::string(recipe.text), std::string(recipe.name));
  }
  const RunSettings s =
      resolve({{"recipe", "park-kim"}, {"model", "alternet_50"}, {"data", "cifar100"}});
  CHECK(s.epochs == 305);
  CHECK(s.batch_size == 96);
  CHECK(s.lr == 1.25e-4);
  CHECK(s.weight_decay == 0.05);
  CHECK(s.decay_all);
  CHECK(s.aa == "rand-m9-n2-mstd1.0");
  CHECK(published_result(s, 100)->top1 == 84.02);
  CHECK(beside_published(s, 100, 0.5, 305)
            .find("84.02 % (Park and Kim 2022, figure 8); this run: 50.00 % after 305 epochs") !=
        std::string::npos);
  CHECK_FALSE(published_result(resolve({{"model", "alternet_50"}}), 10));
  CHECK(message_of<UsageError>([] {
          resolve({{"recipe", "park-kin"}});
        }).find("park-kim") != std::string::npos);
}
