// The registry and the pattern builder: published parameter and operation counts, names, structure,
// training.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <set>

#include "models/model.h"
#include "models/network.h"
#include "nn/context.h"
#include "nn/tap.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/pointwise.h"
#include "tests/model_counts.h"
#include "tests/small_models.h"
#include "tests/worst.h"

namespace passband {
namespace {

using testing::check_counts;
using testing::Family;
using testing::kFamilies;
using testing::noise;
using testing::parameters_of;

TEST_CASE("ResNets have the published numbers of parameters") {
  check_counts({{"resnet18", 10, 32, 11'173'962},
                {"resnet18", 100, 32, 11'220'132},
                {"resnet18", 1000, 224, 11'689'512},
                {"resnet34", 10, 32, 21'282'122},
                {"resnet34", 100, 32, 21'328'292},
                {"resnet34", 1000, 224, 21'797'672},
                {"resnet50", 10, 32, 23'520'842},
                {"resnet50", 100, 32, 23'705'252},
                {"resnet50", 1000, 224, 25'557'032},
                {"resnet101", 10, 32, 42'512'970},
                {"resnet101", 100, 32, 42'697'380},
                {"resnet101", 1000, 224, 44'549'160},
                {"resnet152", 1000, 224, 60'192'808},
                {"resnext50", 1000, 224, 25'028'904}});
  // He et al. 2016, section 4.2, whose table says 0.27, 0.46, 0.66, 0.85 and 1.7 million.
  check_counts({{"resnet20", 10, 32, 269'722},
                {"resnet32", 10, 32, 464'154},
                {"resnet44", 10, 32, 658'586},
                {"resnet56", 10, 32, 853'018},
                {"resnet110", 10, 32, 1'727'962},
                {"resnet20", 10, 224, 269'722}});
}

TEST_CASE("Pre-activation ResNets have the published numbers of parameters") {
  check_counts({{"preact_resnet18", 10, 32, 11'172'170},
                {"preact_resnet18", 100, 32, 11'218'340},
                {"preact_resnet18", 1000, 224, 11'687'720},
                {"preact_resnet34", 10, 32, 21'280'330},
                {"preact_resnet34", 100, 32, 21'326'500},
                {"preact_resnet34", 1000, 224, 21'795'880},
                {"preact_resnet50", 10, 32, 23'513'162},
                {"preact_resnet50", 100, 32, 23'697'572},
                {"preact_resnet50", 1000, 224, 25'549'352},
                {"preact_resnet101", 10, 32, 42'505'290},
                {"preact_resnet101", 100, 32, 42'689'700},
                {"preact_resnet101", 1000, 224, 44'541'480},
                {"CCC.CCCC.CCCCCC.CCCC:preact", 10, 32, 27'975'754},
                {"preact_resnet50_3464", 10, 32, 27'975'754},
                {"preact_resnet50_3464", 100, 32, 28'160'164},
                {"preact_resnet50_3464", 1000, 224, 30'011'944},
                // timm's own counts
                {"resnetv2_50x1_bit", 1000, 224, 25'549'352},
                {"resnetv2_152x2_bit", 1000, 224, 236'335'208}});
}

TEST_CASE("AlterNets have the published numbers of parameters") {
  check_counts({{"alternet_18", 10, 32, 9'452'893},
                {"alternet_18", 100, 32, 9'499'063},
                {"alternet_18", 1000, 224, 9'968'803},
                {"alternet_50", 10, 32, 32'828'430},
                {"alternet_50", 100, 32, 33'012'840},
                {"alternet_50", 1000, 224, 35'915'038},
                {"CC.CM.CM.CM", 10, 32, 9'452'893},
                {"CCC.CCCM.CCCCCM.CMCM", 100, 32, 33'012'840}});
}

TEST_CASE("Lambda networks have the published numbers of parameters") {
  check_counts({{"lambda_resnet50_all", 1000, 224, 14'995'848},
                // timm's own counts
                {"lambda_resnet26t", 1000, 256, 10'958'272},
                {"lambda_resnet26rpt_256", 1000, 256, 10'988'688},
                {"botnet26t_256", 1000, 256, 12'488'672}});
  const auto millions = [](const char* name) {
    return std::round(parameters_of(name, 1000, 224) / 1e4) / 100;
  };
  // The hybrids of the paper's table, one letter a stage: LCCC, LLCC, LLLC, LLLL, CLLL, CCLL, CCCL.
  CHECK(millions("LLL.CCCC.CCCCCC.CCC") == 25.49);
  CHECK(millions("LLL.LLLL.CCCCCC.CCC") == 24.99);
  CHECK(millions("LLL.LLLL.LLLLLL.CCC") == 21.73);
  CHECK(millions("LLL.LLLL.LLLLLL.LLL") == 15.00);
  CHECK(millions("CCC.LLLL.LLLLLL.LLL") == 15.06);
  CHECK(millions("CCC.CCCC.LLLLLL.LLL") == 15.56);
  CHECK(millions("CCC.CCCC.CCCCCC.LLL") == 18.83);
  // Deep hybrids on the ResNet-RS trunk, and ResNet-RS-50 itself.
  const auto tenths = [](const char* name) {
    return std::round(parameters_of(name, 1000, 224) / 1e5) / 10;
  };
  CHECK(tenths("lambda_resnet50") == 21.6);
  CHECK(tenths("lambda_resnet101") == 47.4);
  CHECK(tenths("lambda_resnet152") == 67.2);
  CHECK(tenths("lambda_resnet200") == 73.8);
  CHECK(tenths("lambda_resnet270") == 106.1);
  CHECK(tenths("lambda_resnet350") == 140.2);
  CHECK(tenths("lambda_resnet420") == 166.0);
  CHECK(millions("CCC.CCCC.CCCCCC.CCC:rs") == 35.69);
}

TEST_CASE("Vision transformers have the published numbers of parameters") {
  check_counts(
      {{"vit_tiny_patch4", 1000, 224, 6'143'656},     {"vit_tiny_patch8", 1000, 224, 5'719'720},
       {"vit_tiny_patch14", 1000, 224, 5'694'376},    {"vit_tiny_patch16", 1000, 224, 5'717'416},
       {"vit_tiny_patch32", 1000, 224, 6'131'560},    {"vit_small_patch4", 1000, 224, 22'903'144},
       {"vit_small_patch8", 1000, 224, 22'055'272},   {"vit_small_patch14", 1000, 224, 22'004'584},
       {"vit_small_patch16", 1000, 224, 22'050'664},  {"vit_small_patch32", 1000, 224, 22'878'952},
       {"vit_base_patch4", 1000, 224, 88'272'616},    {"vit_base_patch8", 1000, 224, 86'576'872},
       {"vit_base_patch14", 1000, 224, 86'475'496},   {"vit_base_patch16", 1000, 224, 86'567'656},
       {"vit_base_patch32", 1000, 224, 88'224'232},   {"vit_large_patch4", 1000, 224, 306'599'912},
       {"vit_large_patch8", 1000, 224, 304'338'920},  {"vit_large_patch14", 1000, 224, 304'203'752},
       {"vit_large_patch16", 1000, 224, 304'326'632}, {"vit_large_patch32", 1000, 224, 306'535'400},
       {"vit_huge_patch4", 1000, 224, 635'041'000},   {"vit_huge_patch8", 1000, 224, 632'214'760},
       {"vit_huge_patch14", 1000, 224, 632'045'800},  {"vit_huge_patch16", 1000, 224, 632'199'400},
       {"vit_huge_patch32", 1000, 224, 634'960'360}});
  check_counts({{"vit_tiny_patch4", 100, 32, 5'380'132},
                {"vit_small_patch4", 100, 32, 21'376'996},
                {"vit_base_patch4", 100, 32, 85'221'220},
                {"vit_large_patch4", 100, 32, 302'531'684},
                {"vit_huge_patch4", 100, 32, 629'955'940}});
  check_counts({{"vit_tiny_patch2", 10, 32, 5'385'802},
                {"vit_tiny_patch2", 100, 32, 5'403'172},
                {"vit_small_patch2", 10, 32, 21'388'426},
                {"vit_small_patch2", 100, 32, 21'423'076},
                {"vit_tiny_patch4_noqkvbias", 100, 32, 5'373'220},
                {"vit_small_patch4_noqkvbias", 100, 32, 21'363'172}});
  // Without the class token: one token and one position embedding fewer.
  CHECK(parameters_of("vit_tiny_patch4_gap", 10, 32) ==
        parameters_of("vit_tiny_patch4", 10, 32) - 2 * 192);
}

TEST_CASE("Multiply-accumulates equal the published ones to the last digit given") {
  const auto giga = [](const char* name, int64_t classes, int64_t side) {
    return std::round(make_model(name, {.classes = classes, .image_size = side}, false)->macs() /
                      1e6) /
           1e3;
  };
  CHECK(giga("resnet18", 10, 32) == 0.555);
  CHECK(giga("resnet50", 10, 32) == 1.298);
  CHECK(giga("preact_resnet50", 10, 32) == 1.298);
  CHECK(giga("vit_tiny_patch4", 10, 32) == 0.365);
  CHECK(giga("vit_small_patch4", 10, 32) == 1.420);
  CHECK(giga("vit_tiny_patch2", 10, 32) == 1.669);
  CHECK(giga("vit_base_patch4", 10, 32) == 5.601);
  CHECK(giga("lambda_resnet50_all", 10, 32) == 2.110);
  CHECK(giga("LLL.LLLL.LLLLLL.LLL:scope=15", 10, 32) == 1.353);
  CHECK(giga("LLL.LLLL.LLLLLL.LLL:scope=9", 10, 32) == 0.994);
  CHECK(giga("LLL.LLLL.LLLLLL.LLL:scope=7", 10, 32) == 0.914);
  CHECK(giga("CCC.CCCC.LLLLLL.LLL", 10, 32) == 1.413);
  CHECK(giga("CCC.CCCM.CMCMCM.CMCM", 10, 32) == 1.580);
  CHECK(giga("resnet18", 1000, 224) == 1.814);
  CHECK(giga("resnet50", 1000, 224) == 4.089);
  CHECK(giga("preact_resnet50", 1000, 224) == 4.089);
  CHECK(giga("vit_tiny_patch16", 1000, 224) == 1.254);
  CHECK(giga("vit_small_patch16", 1000, 224) == 4.599);
  CHECK(giga("vit_base_patch16", 1000, 224) == 17.564);
  CHECK(giga("lambda_resnet50_all", 1000, 224) == 6.576);
  CHECK(giga("LLL.LLLL.LLLLLL.LLL:scope=9", 1000, 224) == 3.159);
  CHECK(giga("CCC.CCCC.LLLLLL.LLL", 1000, 224) == 4.441);
  CHECK(giga("alternet_50", 1000, 224) == 5.013);
  CHECK(giga("swin_tiny", 1000, 224) == 4.491);
}

TEST_CASE("A network names its residual branches as a probe meets them") {
  CHECK(make_model("C.L", {}, false)->branches() ==
        std::vector<BlockKind>{BlockKind::conv, BlockKind::lambda});
  for (const char* name : {"CC.CM:width=8,heads=1,head_dim=4", "C.L:width=8,scope=3",
                           "CDPI.CWSBUH:width=8", "botnet26t_256", "vit", "swin", "pit", "twins",
                           "mixer", "convvit", "vit_hydra", "cct_2_3x2"}) {
    CAPTURE(name);
    const auto model = make_model(name, {.image_size = 16});
    std::vector<BlockKind> met;
    const ProbeGuard probe({"branch"}, [&](const TapSite& site, const Tensor& buffer) {
      met.push_back(site.kind);
      return buffer;
    });
    (*model)(Tensor::zeros({1, 16, 16, 3}));
    CHECK(model->branches() == met);
    CHECK(model->has(BlockKind::mlp) == (met[1] == BlockKind::mlp));
    CHECK(model->count(met[0]) == std::ranges::count(met, met[0]));
    CHECK_FALSE(model->has(BlockKind::stem));
  }
}

TEST_CASE("the family of a network is known without making it") {
  for (const char* const name :
       {"resnet18", "lambda_resnet50", "alternet_18", "vit", "CC.CM.LL.CC"})
    CHECK(family_of(name) == make_model(name, {.image_size = 32}, false)->family());
  CHECK_THROWS_AS(family_of("resnet19"), UsageError);
}

TEST_CASE("Windows tile every map: the wanted side, the next divisor above it, or the whole map") {
  CHECK(fit_window(16, 4) == 4);
  CHECK(fit_window(14, 4) == 7);
  CHECK(fit_window(28, 7) == 7);
  CHECK(fit_window(24, 7) == 8);
  CHECK(fit_window(2, 4) == 2);
  CHECK(fit_window(13, 4) == 13);
  CHECK_NOTHROW(make_model("alternet_50", {.image_size = 28}, false));
}

TEST_CASE("A name that is no model is answered with the nearest names") {
  const auto message = [](const std::string& name, const ModelOptions& options = {}) {
    try {
      make_model(name, options, false);
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(message("resnet5").find("\"resnet50\"") != std::string::npos);
  CHECK(message("alternet50").find("\"alternet_50\"") != std::string::npos);
  CHECK(message("vit_tiny_patch5x").find("unknown model") != std::string::npos);
  CHECK(
      message("CC.CX").find("pattern CC.CX: 'X' is no block; there are C (conv), D (depthwise)") !=
      std::string::npos);
  CHECK(message("CC..CM").find("a stage has no block") != std::string::npos);
  CHECK(message("C.C.C.C.C.C.C").find("7 stages; at most 6") != std::string::npos);
  CHECK(message("CC.CM:postact").find("pre-activation") != std::string::npos);
  CHECK(message("CC.CM:windw=4").find("did you mean \"window\"") != std::string::npos);
  CHECK(message("CC.CM:window=many").find("whole number") != std::string::npos);
  CHECK(message("CC.CL:r=4").find("r takes an odd number from 0") != std::string::npos);
  CHECK(message("CC.CL:h=3").find("3 lambda heads do not divide the 128 channels of stage 2") !=
        std::string::npos);
  CHECK(message("CC.CD:kernel=4").find("kernel takes an odd number from 1") != std::string::npos);
  CHECK(message("vit_tiny_patch16", {.image_size = 40}).find("do not tile a 40x40 image") !=
        std::string::npos);
  CHECK(message("convvit_tiny_kernel8", {.image_size = 64}).find("pictures up to 32 pixels") !=
        std::string::npos);
  CHECK(message("swin_tiny", {.image_size = 20}).find("multiples of 8") != std::string::npos);
  CHECK(message("pit_ti", {.image_size = 1}).find("sides from 2") != std::string::npos);
  CHECK(message("resnet18", {.classes = 0}).find("at least one class") != std::string::npos);
  CHECK(message("resnet18", {.image_size = 2}).find("8 to 4096 pixels a side, not 2") !=
        std::string::npos);
  CHECK(message(std::string(10'000, 'C')).find("10000 letters; at most 1000") < 100);
}

TEST_CASE("An option of a pattern that would take hours or all memory is refused with its bound") {
  const auto message = [](const std::string& name, bool build = false) {
    try {
      make_model(name, {.image_size = 16}, build);
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::map<std::string, int64_t> bounds = {
      {"CD:kernel", 127},  {"CU:kernel", 127},    {"CP:pool", 127},    {"CL:r", 127},
      {"CL:scope", 127},   {"CL:k", 256},         {"CL:u", 64},        {"CL:h", 1024},
      {"CW:heads", 1024},  {"CB:head_dim", 4096}, {"CS:window", 4096}, {"CS:shift", 4096},
      {"CC:stride", 4096}, {"CC:width", 65536}};
  for (const auto& [option, most] : bounds) {
    CAPTURE(option);
    for (const int64_t value : {most + 2, int64_t{1} << 40})
      CHECK(message(option + "=" + std::to_string(value | 1))
                .find("to " + std::to_string(most) + ", not") != std::string::npos);
    if (most < 1000) CHECK(message(option + "=" + std::to_string(most)).empty());
  }
  CHECK(message("CC:width=65536", true).find("GB and this machine has") != std::string::npos);
  CHECK(message("convvit_kernel999").find("at most 127") != std::string::npos);
}

TEST_CASE("A network larger than can be counted is refused, the largest real ones are not") {
  for (const std::string options :
       {"bottleneck,width=65536,heads=1024,head_dim=4096", "width=65536,heads=1024,head_dim=4096",
        "bottleneck,width=65536,kernel=127"}) {
    const std::string name = "C.C.CM.CM.CM.CM:" + options;
    std::string message;
    try {
      make_model(name, {.classes = 10, .image_size = 32}, /*build=*/false);
    } catch (const UsageError& error) {
      message = error.what();
    }
    CHECK_MESSAGE(message.find("larger than can be counted") != std::string::npos, message);
  }
  CHECK_THROWS_AS(make_model("resnet50", {.classes = int64_t{1} << 60}, false), UsageError);
  for (const char* const name : {"lambda_resnet420", "alternet_152", "resnet152"})
    CHECK(make_model(name, {.classes = 21841, .image_size = 4096}, false)->macs() > 0);
  CHECK(make_model("CCM.CCM.CCM.CCM:width=1024", {.classes = 1000, .image_size = 1024}, false)
            ->macs() > 0);
}

TEST_CASE("All models are listed in well under a second, without memory for parameters") {
  const std::clock_t start = std::clock();  // of this process: tests share the machine
  const int64_t live = memory_statistics().live_bytes;
  const std::vector<ModelInfo> list = list_models(1000, 224);
  CHECK(memory_statistics().live_bytes == live);
  CHECK(std::clock() - start < CLOCKS_PER_SEC);
  std::set<std::string> names;
  for (const ModelInfo& info : list) {
    names.insert(info.name);
    CHECK(info.parameters > 0);
    CHECK(info.macs > 0);
  }
  CHECK(names.size() == list.size());
  for (const char* name :
       {"alternet", "resnet", "lambda_resnet", "vit", "vit_huge_patch14_gap", "lambda_resnet420"})
    CHECK(names.contains(name));
}

// Loss, gradients, and the loss after a step along them.
std::vector<double> one_step(const std::string& name, DType dtype) {
  const auto model = make_model(name, {.classes = 3, .image_size = 8, .seed = 1, .dtype = dtype});
  const Tensor images = Tensor::from(noise({4, 8, 8, 3}, 2).values(), {4, 8, 8, 3}, dtype);
  const Tensor labels = Tensor::from({0, 1, 2, 1}, {4}, DType::i32);
  const ContextGuard guard({.training = true});
  const auto loss = [&] { return cross_entropy((*model)(images), labels); };
  const Tensor before = loss();
  model->store().zero_gradients();
  backward(before);
  std::vector<double> result = model->store().gradients().values();
  add_scaled_(model->store().values(), model->store().gradients(), -0.1);
  result.insert(result.end(), {before.item(), loss().item()});
  return result;
}

// Kernels work on channels eight at a time, and on what is left over.
TEST_CASE("Networks of any small width train a step as in f64") {
  for (int width = 1; width <= 9; ++width) {
    const std::string name = "C.C:width=" + std::to_string(width);
    CAPTURE(name);
    const std::vector<double> single = one_step(name, DType::f32),
                              exact = one_step(name, DType::f64);
    double error = 0, size = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      error += (single[i] - exact[i]) * (single[i] - exact[i]);
      size += exact[i] * exact[i];
    }
    CHECK(std::sqrt(error) < 1e-4 * std::sqrt(size));
    CHECK(exact.back() < exact[exact.size() - 2]);
  }
}

TEST_CASE("Initial values depend on the seed and the name alone") {
  const auto a = make_model("resnet", {.seed = 3}), b = make_model("resnet", {.seed = 3});
  const auto c = make_model("resnet", {.seed = 4});
  CHECK(a->store().values().values() == b->store().values().values());
  CHECK(a->store().values().values() != c->store().values().values());
  // The same names start from the same values whatever else the network holds.
  const auto ten = make_model("resnet", {.classes = 10, .seed = 3});
  const auto hundred = make_model("resnet", {.classes = 100, .seed = 3});
  CHECK(ten->store().parameters()[0]->value.values() ==
        hundred->store().parameters()[0]->value.values());
}

// --- one small network of every kind ---

// Moves every parameter off its initial value, so that no scale is 0.
void shake(Model& model) {
  add_scaled_(model.store().values(), noise(model.store().values().shape(), 5), 0.02);
}

Tensor loss_of(const Model& model, const Tensor& images) {
  const Tensor labels = Tensor::from({0, 3, 7, 9}, {4}, DType::i32);
  return cross_entropy(model(images), labels, 0.1);
}

TEST_CASE("Every parameter of every family receives a gradient and moves") {
  for (const Family& family : kFamilies) {
    const auto model = make_model(family.name, {.image_size = family.side, .seed = 1});
    shake(*model);
    const Tensor images = noise({4, family.side, family.side, 3}, 2);
    // Running statistics: with those of the batch, shifts that the next norm removes would have no
    // gradient.
    const EvaluationGuard evaluation;
    ParameterStore& store = model->store();
    backward(loss_of(*model, images));
    const std::vector<double> before = store.values().values(),
                              gradients = store.gradients().values();
    add_scaled_(store.values(), store.gradients(), -0.1);
    const std::vector<double> after = store.values().values();
    for (const ParameterRef& p : store.parameters()) {
      if (p->frozen) continue;
      INFO(family.name, ": ", p->name);
      bool received = false, moved = false;
      for (int64_t i = p->offset; i < p->offset + p->shape.numel(); ++i) {
        CHECK_MESSAGE(std::isfinite(gradients[static_cast<size_t>(i)]), "element ", i - p->offset);
        received = received || gradients[static_cast<size_t>(i)] != 0;
        moved = moved || before[static_cast<size_t>(i)] != after[static_cast<size_t>(i)];
      }
      // The same number for all channels of a token, which every norm behind it takes off again, or
      // for all tokens of a softmax.
      if (p->name.ends_with("mlp_tokens.fc2.bias") || p->name.ends_with("attention_pool.bias"))
        continue;
      CHECK(received);
      CHECK(moved);
    }
  }
}

TEST_CASE(
    "Training a fixed batch lowers the loss, and live memory is the "
    "same from step to step, in f32 and bf16") {
  for (const Family& family : kFamilies)
    for (const DType compute : {DType::f32, DType::bf16}) {
      INFO(family.name, " in ", name_of(compute));
      const ModelOptions options = {
          .image_size = family.side, .drop_path = 0.1, .dropout = 0.1, .seed = 1};
      const auto model = make_model(family.name, options);
      const Tensor images = noise({4, family.side, family.side, 3}, 2);
      ParameterStore& store = model->store();
      double first = 0, last = 0;
      int64_t live = 0;
      for (uint64_t step = 0; step < 20; ++step) {
        ContextGuard guard({.training = true, .seed = 9, .step = step, .compute = compute});
        store.zero_gradients();
        {
          const Tensor loss = loss_of(*model, images);
          last = loss.item();
          backward(loss);
        }
        add_scaled_(store.values(), store.gradients(), -0.02);
        if (step == 0) first = last;
        if (step == 2) live = memory_statistics().live_bytes;
        if (step > 2) CHECK(memory_statistics().live_bytes == live);
      }
      CHECK(std::isfinite(last));
      CHECK(last < first);
    }
}

TEST_CASE("the networks of the speed records have the records' sizes") {
  // parameters of the published code in PyTorch, multiplications as that code does them
  const std::vector<std::tuple<const char*, int64_t, double>> sizes = {
      {"airbench93", 569656, 54.2},
      {"airbench94", 1972792, 118.1},
      {"airbench95", 4606520, 301.6},
      {"airbench96", 9918776, 452},
      {"airbench_small", 146744, 17}};
  for (const auto& [name, parameters, macs] : sizes) {
    CAPTURE(std::string(name));
    const auto model = make_model(name, {}, false);
    CHECK(model->store().parameter_count() == parameters);
    CHECK(static_cast<double>(model->macs()) / 1e6 == doctest::Approx(macs).epsilon(0.01));
  }
  CHECK(parameters_of("airbench_64_256_256", 10, 32) == 1972792);
  CHECK_THROWS_WITH_AS(make_model("airbench94", {.image_size = 8}),
                       "model airbench94: it halves its map three times, which 8 pixels do not "
                       "allow; it takes 9 or more",
                       UsageError);
}

TEST_CASE("Evaluation in bf16 agrees with f32 and converts each parameter once per version") {
  for (const char* name : {"resnet", "alternet", "vit"}) {
    const auto model = make_model(name, {.image_size = 32, .seed = 1});
    const Tensor images = noise({2, 32, 32, 3}, 2);
    NoGrad no_grad;
    const std::vector<double> exact = (*model)(images).values();
    ContextGuard guard({.compute = DType::bf16});
    const Tensor logits = (*model)(images);
    CHECK(logits.dtype() == DType::f32);
    const std::vector<double> rounded = logits.values();
    double worst = 0, scale = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      worst = numeric::worse(worst, std::abs(exact[i] - rounded[i]));
      scale = std::max(scale, std::abs(exact[i]));
    }
    CHECK(worst < 0.1 * scale);
    const ParameterRef& weight = model->store().parameters().front();
    const Tensor first = weight->as(DType::bf16);
    CHECK(weight->as(DType::bf16).shares_memory_with(first));
    model->store().touch();
    CHECK(!weight->as(DType::bf16).shares_memory_with(first));
  }
}

TEST_CASE("Wrong images are refused by name and shape") {
  const auto model = make_model("resnet", {.image_size = 32});
  CHECK_THROWS_WITH_AS((*model)(Tensor::zeros({2, 40, 40, 3})),
                       "model resnet takes images (N, 32, 32, 3), not f32[2, 40, 40, 3]@cpu",
                       Error);
  // Convolutions alone take smaller ones too; tables of positions do not.
  const auto attending = make_model("alternet", {.image_size = 32});
  CHECK_THROWS_WITH_AS((*attending)(Tensor::zeros({2, 16, 16, 3})),
                       "model alternet takes images (N, 32, 32, 3), not f32[2, 16, 16, 3]@cpu",
                       Error);
  const auto counted = make_model("resnet", {.image_size = 32}, false);
  CHECK_THROWS_AS((*counted)(Tensor::zeros({2, 32, 32, 3})), Error);
}

}  // namespace
}  // namespace passband
