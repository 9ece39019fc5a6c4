// Taps of whole models: what they name, where it lies in the picture, and that looking changes
// nothing.
#include <doctest/doctest.h>

#include "models/model.h"
#include "nn/context.h"
#include "nn/tap.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/pointwise.h"
#include "tests/small_models.h"

namespace passband {
namespace {

using testing::Family;
using testing::kFamilies;
using testing::noise;

struct Seen {
  TapSite site;
  Shape shape;
};

std::vector<Seen> look(const char* name, int64_t side, std::vector<std::string> names) {
  const auto model = make_model(name, {.image_size = side, .seed = 1});
  std::vector<Seen> seen;
  NoGrad guard;
  ProbeGuard probe(std::move(names), [&](const TapSite& site, const Tensor& buffer) {
    seen.push_back({site, buffer.shape()});
    return buffer;
  });
  (*model)(noise({2, side, side, 3}, 2));
  return seen;
}

TEST_CASE("Taps name the blocks of a hybrid and know where they lie in the picture") {
  const std::vector<Seen> outs = look("CC.CM.CL:width=8,heads=1,head_dim=8,scope=5", 16, {"out"});
  std::vector<std::string> paths;
  for (const Seen& s : outs) paths.push_back(s.site.path);
  CHECK(paths == std::vector<std::string>{"stem.out", "stages.0.blocks.0.out",
                                          "stages.0.blocks.1.out", "stages.1.blocks.0.out",
                                          "stages.1.blocks.1.out", "stages.2.blocks.0.out",
                                          "stages.2.blocks.1.out"});
  CHECK(outs[0].site.kind == BlockKind::stem);
  CHECK(outs[3].site.subsamples);
  CHECK(!outs[4].site.subsamples);
  CHECK(outs[4].site.kind == BlockKind::msa);
  CHECK(outs[4].site.window == 4);
  CHECK(outs[4].site.patch == 2);
  CHECK(outs[6].site.kind == BlockKind::lambda);
  CHECK(outs[6].site.patch == 4);
  for (const Seen& s : outs) {
    CHECK(s.shape[1] == s.site.height);
    CHECK(s.shape[2] == s.site.width);
  }
}

TEST_CASE("The ImageNet stem is a quarter of the picture") {
  const std::vector<Seen> outs = look("CC.CC:width=8", 96, {"out"});
  CHECK(outs[0].site.height == 24);
  CHECK(outs[0].site.patch == 4);
  CHECK(outs.back().site.patch == 8);
}

TEST_CASE("Attention taps show probabilities with the geometry of their windows") {
  const std::vector<Seen> hybrid = look("C.CM.CM:width=8,heads=1,head_dim=8", 32, {"attention"});
  REQUIRE(hybrid.size() == 2);
  CHECK(hybrid[0].site.path == "stages.1.blocks.1.attention");
  CHECK(hybrid[0].site.window == 4);
  CHECK(hybrid[0].shape == Shape{2 * 16, 2, 16, 16});
  CHECK(hybrid[1].shape == Shape{2 * 4, 4, 16, 16});
  const std::vector<Seen> vit = look("vit_tiny_patch8", 32, {"attention"});
  REQUIRE(vit.size() == 12);
  CHECK(vit[2].site.path == "blocks.2.msa.attention");
  CHECK(vit[2].site.prefix == 1);
  CHECK(vit[2].site.window == 0);
  CHECK(vit[2].site.patch == 8);
  CHECK(vit[2].shape == Shape{2, 3, 17, 17});
}

TEST_CASE("Lambda taps show signed weights over all positions") {
  const std::vector<Seen> seen = look("C.LL:width=8,scope=5", 16, {"lambda"});
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].site.path == "layer2.0.lambda");
  CHECK(seen[0].site.height * seen[0].site.width == seen[0].shape[2]);
  CHECK(seen[1].shape == Shape{2, 4, 64, 64});
}

TEST_CASE("The residual stream is the sum of what the taps show") {
  for (const char* name :
       {"CC.CC:preact,width=8", "CM.CM:width=8,heads=1,head_dim=8", "vit_tiny_patch8"}) {
    const auto model = make_model(name, {.image_size = 16, .seed = 1});
    Tensor branch, skip;
    NoGrad guard;
    ProbeGuard probe({"branch", "skip", "out"}, [&](const TapSite& site, const Tensor& buffer) {
      if (site.name == "branch") branch = buffer;
      if (site.name == "skip") skip = buffer;
      if (site.name == "out" && branch.defined())
        CHECK((branch + skip).values() == buffer.values());
      return buffer;
    });
    (*model)(noise({2, 16, 16, 3}, 2));
    CHECK(branch.defined());
  }
}

TEST_CASE("Looking changes nothing: logits are the same with a probe on every buffer as without") {
  for (const Family& family : kFamilies) {
    INFO(family.name);
    const auto model = make_model(family.name, {.image_size = family.side, .seed = 1});
    const Tensor images = noise({2, family.side, family.side, 3}, 2);
    NoGrad guard;
    const std::vector<double> plain = (*model)(images).values();
    ProbeGuard probe({}, [](const TapSite&, const Tensor& buffer) { return buffer; });
    const std::vector<double> watched = (*model)(images).values();
    for (size_t i = 0; i < plain.size(); ++i)
      CHECK(watched[i] == doctest::Approx(plain[i]).epsilon(1e-4));
  }
}

TEST_CASE(
    "A block without shortcuts writes what its branches write: "
    "with zeros there, pictures look alike") {
  const ModelOptions options{.classes = 3, .image_size = 16, .seed = 2};
  const Tensor images = noise({2, 16, 16, 3}, 2);
  NoGrad guard;
  for (const bool has_skip : {true, false}) {
    const auto model =
        make_model(has_skip ? "vit_tiny_patch8" : "vit_tiny_patch8_noskip2", options);
    int shortcuts = 0;
    Tensor branch;
    {
      const ProbeGuard probe({"branch", "skip", "out"}, [&](const TapSite& site, const Tensor& x) {
        shortcuts += site.name == "skip";
        if (site.path == "blocks.1.mlp.branch") branch = x;
        if (site.path == "blocks.1.mlp.out") CHECK((x.values() == branch.values()) == !has_skip);
        return x;
      });
      (*model)(images);
    }
    CHECK(shortcuts == (has_skip ? 24 : 22));
    for (const ParameterRef& p : model->store().parameters())
      if (p->name.starts_with("blocks.1.mlp.fc2")) fill_(p->value.detach(), 0);
    model->store().touch();
    const std::vector<double> logits = (*model)(images).values();
    const bool alike = logits[0] == logits[3] && logits[1] == logits[4] && logits[2] == logits[5];
    CHECK(alike == !has_skip);
  }
  CHECK_THROWS_AS(make_model("vit_tiny_patch8_noskip13", options), UsageError);
  CHECK_THROWS_AS(make_model("vit_tiny_patch8_noskip", options), UsageError);
}

TEST_CASE("A lesion takes effect: a branch of zeros leaves the skip") {
  const auto model = make_model("CC.CC:preact,width=8", {.image_size = 16, .seed = 1});
  NoGrad guard;
  ProbeGuard lesion({"branch"}, [](const TapSite& site, const Tensor& buffer) {
    return site.path == "stages.0.blocks.1.branch" ? Tensor::zeros_like(buffer) : buffer;
  });
  std::vector<Tensor> outs;
  ProbeGuard probe({"out"}, [&](const TapSite&, const Tensor& buffer) {
    return outs.push_back(buffer), buffer;
  });
  (*model)(noise({2, 16, 16, 3}, 2));
  CHECK(outs[1].values() == outs[2].values());
}

}  // namespace
}  // namespace passband
