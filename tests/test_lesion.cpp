// Lesions against networks whose weights say the same.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "analysis/loss/lesion.h"
#include "analysis/registry.h"
#include "nn/context.h"
#include "tensor/ops/pointwise.h"
#include "tests/test_analysis_models.h"
#include "tests/worst.h"

using namespace passband;
using namespace passband::testing;

namespace {

constexpr const char* kHybrid = "CC.CM:width=8,head_dim=8";

std::unique_ptr<Model> hybrid() {
  return make_model(kHybrid, {.classes = 3, .image_size = 16, .seed = 4});
}

Tensor pictures(int64_t n) {
  Tensor images = Tensor::empty({n, 16, 16, 3});
  for (int64_t i = 0; i < images.numel(); ++i)
    images.data<float>()[i] = random_normal({3, 0, 1}, static_cast<uint64_t>(i));
  return images;
}

std::vector<double> logits(const Model& model, const Tensor& images) {
  NoGrad no_grad;
  ContextGuard mode({.training = false});
  return model(images).values();
}

void set_zero(Model& model, const std::string& name) {
  const auto found = std::ranges::find_if(model.store().parameters(),
                                          [&](const ParameterRef& p) { return p->name == name; });
  REQUIRE_MESSAGE(found != model.store().parameters().end(), name);
  NoGrad no_grad;
  fill_((*found)->value.detach(), 0);
  model.store().touch();
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = numeric::worse(worst, std::abs(a[i] - b[i]));
  return worst;
}

const Lesion& named(const std::vector<Lesion>& lesions, const std::string& label) {
  const auto found = std::ranges::find(lesions, label, &Lesion::label);
  REQUIRE_MESSAGE(found != lesions.end(), label);
  return *found;
}

}  // namespace

TEST_CASE("a network has one branch a block, a transformer two, in forward order") {
  const DepthAxis hybrid_axis = branches_of(*hybrid());
  CHECK(hybrid_axis.labels() == std::vector<std::string>{"stages.0.blocks.0", "stages.0.blocks.1",
                                                         "stages.1.blocks.0", "stages.1.blocks.1"});
  CHECK(!ends_stage(hybrid_axis, 0));
  CHECK(ends_stage(hybrid_axis, 1));
  CHECK(ends_stage(hybrid_axis, 3));
  CHECK(block_lesions(hybrid_axis).empty());
  const auto vit = make_model("vit_tiny_patch8", {.classes = 3, .image_size = 16});
  const DepthAxis axis = branches_of(*vit);
  CHECK(axis.size() == 24);
  CHECK(block_lesions(axis).size() == 12);
  CHECK(block_lesions(axis)[1].label == "blocks.1");
  CHECK(convolution_lesions(*vit, axis).empty());
}

TEST_CASE("removing a branch gives the logits of a network whose branch ends in zero weights") {
  Tensor images = pictures(3);
  for (const auto& [label, weight] :
       {std::pair{"stages.0.blocks.1", "stages.0.blocks.1.conv2.weight"},
        std::pair{"stages.1.blocks.0", "stages.1.blocks.0.conv2.weight"}}) {
    const auto cut = hybrid(), whole = hybrid();
    set_zero(*cut, weight);
    const std::vector<double> before = logits(*whole, images);
    const std::vector<Lesion> lesions = branch_lesions(branches_of(*whole));
    {
      const LesionGuard guard(*whole, named(lesions, label), Removal::zero);
      CHECK(distance(logits(*whole, images), logits(*cut, images)) < 1e-5);
      CHECK(distance(logits(*whole, images), before) > 1e-3);
    }
    CHECK(logits(*whole, images) == before);
  }
}

TEST_CASE("attention and MLP of a transformer are removed apart, a whole block together") {
  Tensor images = pictures(2);
  const auto make = [] {
    return make_model("vit_tiny_patch8", {.classes = 3, .image_size = 16, .seed = 9});
  };
  const auto whole = make(), cut = make();
  const DepthAxis axis = branches_of(*whole);
  set_zero(*cut, "blocks.2.mlp.fc2.weight");
  set_zero(*cut, "blocks.2.mlp.fc2.bias");
  {
    const std::vector<Lesion> lesions = branch_lesions(axis);
    const LesionGuard guard(*whole, named(lesions, "blocks.2.mlp"), Removal::zero);
    CHECK(distance(logits(*whole, images), logits(*cut, images)) < 1e-5);
  }
  set_zero(*cut, "blocks.2.attn.proj.weight");
  set_zero(*cut, "blocks.2.attn.proj.bias");
  const std::vector<Lesion> lesions = block_lesions(axis);
  const LesionGuard guard(*whole, named(lesions, "blocks.2"), Removal::zero);
  CHECK(distance(logits(*whole, images), logits(*cut, images)) < 1e-5);
}

TEST_CASE("one convolution is removed by its weights, which come back") {
  Tensor images = pictures(2);
  const auto whole = hybrid(), cut = hybrid();
  const std::vector<Lesion> lesions = convolution_lesions(*whole, branches_of(*whole));
  CHECK(lesions.size() == 6);  // two a convolution block, none in the attention block
  const Lesion& lesion = named(lesions, "stages.0.blocks.1.conv1");
  CHECK(lesion.depth == 1);
  set_zero(*cut, "stages.0.blocks.1.conv1.weight");
  const std::vector<double> before = whole->store().values().values();
  {
    const LesionGuard guard(*whole, lesion, Removal::zero);
    CHECK(logits(*whole, images) == logits(*cut, images));
  }
  CHECK(whole->store().values().values() == before);
}

TEST_CASE("the mean over one picture is the picture: nothing is lost") {
  const auto model = hybrid();
  const std::vector<Lesion> lesions = branch_lesions(branches_of(*model));
  const std::vector<double> one = logits(*model, pictures(1)), two = logits(*model, pictures(2));
  const LesionGuard guard(*model, lesions[1], Removal::mean);
  CHECK(distance(logits(*model, pictures(1)), one) < 1e-5);
  CHECK(distance(logits(*model, pictures(2)), two) > 1e-4);
}

TEST_CASE("the interval of a change comes from the answers that differ") {
  LesionResult r{.pictures = 400, .intact = 300, .lesioned = 260, .lost = 60, .gained = 20};
  CHECK(r.change() == doctest::Approx(-0.1));
  // Agresti and Min: 60.5 lost and 20.5 gained of 402, counted out by hand.
  CHECK(r.interval() == doctest::Approx(0.043286).epsilon(1e-5));
  // Four pictures that are all lost do not make it certain.
  const LesionResult few{.pictures = 4, .intact = 4, .lesioned = 0, .lost = 4};
  CHECK(few.interval() == doctest::Approx(0.832316).epsilon(1e-5));
  CHECK(LesionResult{}.change() == 0);
}

TEST_CASE("a lesion of a branch that adds nothing changes no answer, through the whole analysis") {
  const Dataset data = random_pictures(40, 16, 3, 6);
  std::shared_ptr<Model> model = hybrid();
  set_zero(*model, "stages.0.blocks.1.conv2.weight");
  AnalysisInput input{.subjects = {{.label = "hybrid", .model = model}}, .data = &data};
  const Analysis& analysis = find_analysis("lesion");
  const Section section = run_analysis(analysis, with_settings(input, analysis));
  REQUIRE(section.figures.size() == 2);  // changes by kind, and branch by branch
  for (const plot::Figure& figure : section.figures) plot::check(figure);
  const plot::Panel& panel = section.figures[1].panels[0];
  REQUIRE(panel.bars[0].y.size() == 4);
  CHECK(panel.bars[0].y[1] == 0);
  CHECK(panel.points.size() == 1);
  CHECK(section.finding.find("hybrid") == 0);
  const std::vector<LesionResult> direct =
      run_lesions(*model, data, branch_lesions(branches_of(*model)), Removal::zero,
                  {.images = 40, .batch_size = 7});
  CHECK(panel.bars[0].y[0] == doctest::Approx(100 * direct[0].change()));
  CHECK(direct[0].pictures == 40);
}
