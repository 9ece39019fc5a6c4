// Taps of whole models: what they name, where it lies in the picture, and that looking changes
// nothing.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>

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

TEST_CASE("A block's output has the windows of its attention, where these lie on its own map") {
  const std::vector<Seen> outs =
      look("WSB.SUW:bottleneck,width=8,heads=1,head_dim=8,window=4", 16, {"out"});
  const auto windows = [&](size_t i) { return std::pair(outs[i].site.window, outs[i].site.shift); };
  using Windows = std::pair<int64_t, int64_t>;
  CHECK(windows(1) == Windows{4, 0});  // W
  CHECK(windows(2) == Windows{4, 2});  // S
  CHECK(windows(3) == Windows{0, 0});  // B looks at the whole map
  CHECK(windows(4) == Windows{0, 0});  // strides after its attention
  CHECK(windows(5) == Windows{4, 0});  // U
  CHECK(windows(6) == Windows{4, 0});  // W
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

TEST_CASE("Single layers are tapped under the names of their weights") {
  std::vector<std::string> paths;
  for (const Seen& s : look("vit_tiny_patch8", 16, layer_taps())) paths.push_back(s.site.path);
  const std::vector<std::string> block = {
      "blocks.0.norm1.norm", "blocks.0.attn.q",     "blocks.0.attn.k",
      "blocks.0.attn.v",     "blocks.0.attn.heads", "blocks.0.attn.proj.linear",
      "blocks.0.norm2.norm", "blocks.0.mlp.hidden", "blocks.0.mlp.fc2.linear"};
  REQUIRE(paths.size() == 1 + 12 * block.size() + 2);
  CHECK(paths.front() == "patch_embed.proj.conv");
  CHECK(std::vector(paths.begin() + 1, paths.begin() + 1 + std::ssize(block)) == block);
  CHECK(paths[paths.size() - 2] == "norm.norm");
  CHECK(paths.back() == "head.linear");
  for (const Family& family : kFamilies) {
    INFO(family.name);
    const auto model = make_model(family.name, {.image_size = family.side, .seed = 1});
    std::set<std::string> seen;
    for (const Seen& s : look(family.name, family.side, layer_taps())) {
      INFO(s.site.path);
      CHECK(seen.insert(s.site.path).second);
      const std::string module = s.site.path.substr(0, s.site.path.rfind('.') + 1);
      CHECK(std::ranges::any_of(model->store().parameters(), [&](const ParameterRef& p) {
        return p->name.starts_with(module);
      }));
      const bool on_grid = s.shape.rank() == 4 || (s.shape.rank() == 3 && s.site.height > 0);
      const int64_t places = s.site.prefix + s.site.height * s.site.width;
      CHECK(places == (!on_grid ? 0 : s.shape.rank() == 4 ? s.shape[1] * s.shape[2] : s.shape[1]));
    }
    for (const ParameterRef& p : model->store().parameters()) {
      // Every norm and convolution of the network is there, and no linear layer is missing.
      if (!p->name.ends_with("norm1.weight") && !p->name.ends_with("conv1.weight")) continue;
      INFO(p->name);
      const std::string module = p->name.substr(0, p->name.rfind('.'));
      CHECK(std::ranges::any_of(
          seen, [&](const std::string& path) { return path.starts_with(module + "."); }));
    }
  }
}

TEST_CASE("Queries, keys and values are those that the attention and the heads come from") {
  for (const auto& [name, path, side] :
       {std::tuple{"vit_tiny_patch8", "blocks.3.", int64_t{16}},
        std::tuple{"CM:width=8,heads=2,head_dim=8,window=8", "stages.0.blocks.1.", int64_t{8}}}) {
    const auto model = make_model(name, {.image_size = side, .seed = 3});
    for (const ParameterRef& p : model->store().parameters())
      if (p->name.ends_with("bias_table")) fill_(p->value.detach(), 0);
    model->store().touch();
    std::map<std::string, Tensor> seen;
    NoGrad guard;
    const ProbeGuard probe({"q", "k", "v", "attention", "heads"},
                           [&](const TapSite& site, const Tensor& x) {
                             if (site.path.starts_with(path)) seen[site.name] = x;
                             return x;
                           });
    (*model)(noise({1, side, side, 3}, 2));
    const Tensor& a = seen.at("attention");
    REQUIRE(a.size(0) == 1);  // one window: its tokens are the map's, in order
    const int64_t heads = a.size(1), tokens = a.size(2);
    const int64_t width = seen.at("q").size(-1), d = width / heads;
    const std::vector<double> q = seen.at("q").values(), k = seen.at("k").values(),
                              v = seen.at("v").values(), p = a.values(),
                              out = seen.at("heads").values();
    const auto at = [&](const std::vector<double>& x, int64_t t, int64_t h, int64_t i) {
      return x[static_cast<size_t>(t * width + h * d + i)];
    };
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < tokens; ++i) {
        std::vector<double> weights(static_cast<size_t>(tokens));
        double total = 0;
        for (int64_t j = 0; j < tokens; ++j) {
          double score = 0;
          for (int64_t c = 0; c < d; ++c) score += at(q, i, h, c) * at(k, j, h, c);
          total += weights[static_cast<size_t>(j)] = std::exp(score / std::sqrt(double(d)));
        }
        for (int64_t j = 0; j < tokens; ++j)
          CHECK(p[static_cast<size_t>((h * tokens + i) * tokens + j)] ==
                doctest::Approx(weights[static_cast<size_t>(j)] / total).epsilon(1e-4));
        for (int64_t c = 0; c < d; ++c) {
          double sum = 0;
          for (int64_t j = 0; j < tokens; ++j)
            sum += weights[static_cast<size_t>(j)] / total * at(v, j, h, c);
          CHECK(at(out, i, h, c) == doctest::Approx(sum).epsilon(1e-3));
        }
      }
  }
}

TEST_CASE("Each tap of a layer leaves the blocks and the logits as they are without it") {
  for (const Family& family : kFamilies) {
    INFO(family.name);
    const auto model = make_model(family.name, {.image_size = family.side, .seed = 1});
    const Tensor images = noise({2, family.side, family.side, 3}, 2);
    NoGrad guard;
    const auto outputs = [&](const std::vector<std::string>& more) {
      std::vector<double> values;
      const ProbeGuard watching(more, [](const TapSite&, const Tensor& x) { return x; });
      const ProbeGuard probe({"out", "logits"}, [&](const TapSite&, const Tensor& x) {
        const std::vector<double> shown = x.values();
        values.insert(values.end(), shown.begin(), shown.end());
        return x;
      });
      (*model)(images);
      return values;
    };
    const std::vector<double> plain = outputs({"logits"});
    double largest = 0;
    for (const double value : plain) largest = std::max(largest, std::abs(value));
    for (const std::string& name : layer_taps()) {
      INFO(name);
      const std::vector<double> watched = outputs({name});
      REQUIRE(watched.size() == plain.size());
      double worst = 0;
      for (size_t i = 0; i < plain.size(); ++i)
        worst = std::max(worst, std::abs(watched[i] - plain[i]));
      CHECK(worst <= 1e-5 * largest);
    }
  }
}

TEST_CASE("A probe on queries takes effect: with zeros attention is uniform") {
  const auto model = make_model("vit_tiny_patch8", {.image_size = 16, .seed = 1});
  NoGrad guard;
  const ProbeGuard lesion({"q"},
                          [](const TapSite&, const Tensor& x) { return Tensor::zeros_like(x); });
  const ProbeGuard probe({"attention"}, [](const TapSite&, const Tensor& a) {
    for (const double p : a.values()) CHECK(p == doctest::Approx(0.2));
    return a;
  });
  (*model)(noise({2, 16, 16, 3}, 2));
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
