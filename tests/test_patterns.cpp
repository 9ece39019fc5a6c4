// The letters and options of patterns: what each costs, counted by hand.
#include <doctest/doctest.h>

#include "models/model.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

int64_t parameters_of(const std::string& name) {
  return make_model(name, {.classes = 10, .image_size = 16}, false)->store().parameter_count();
}

TEST_CASE("Patterns say what is built, in the CIFAR and in the ImageNet form") {
  const auto model = [](const char* name, int64_t side) {
    return make_model(name, {.image_size = side}, false);
  };
  CHECK(model("alternet_50", 32)->pattern() == "CCC.CCCM.CCCCCM.CMCM");
  CHECK(model("alternet_50", 224)->pattern() == "CCC.CCCM.CMCMCM.CMCM");
  CHECK(model("alternet_18", 32)->pattern() == "CC.CM.CM.CM");
  CHECK(model("lambda_resnet101", 224)->pattern() == "CCC.CCCC.CCCCCCLCCCCCLCCCCCLCCCC.LLL");
  CHECK(model("vit_tiny_patch4", 32)->pattern().empty());
  CHECK(model("lambda_resnet50", 224)->pattern() == "CCC.CCCC.CCCLCC.LLL");
  CHECK(model("CC.CM.CM.CM", 32)->family() == "alternet");
  CHECK(model("CC.CC.CC.CL", 32)->family() == "lambda_resnet");
  CHECK(model("CC.CC.CC.CC", 32)->family() == "resnet");
  CHECK(model("CC.CC.CC.CC:preact", 32)->family() == "preact_resnet");
}

int64_t macs_of(const std::string& pattern) {
  return make_model(pattern, {.image_size = 16}, false)->macs();
}

// Of two pre-activation basic blocks of 8 channels on a 16 x 16 map, the second one's 3x3 gives way
// to a mixer, whose multiply-accumulates are counted by hand.
TEST_CASE("Every letter counts the multiply-accumulates of its mixer") {
  const int64_t pixels = 256, width = 8, window = 4;
  const std::string options = ":preact,width=8,heads=2,head_dim=4,window=4,kernel=5";
  const int64_t none = macs_of("CI" + options);
  const int64_t qkv = pixels * width * 3 * width, proj = pixels * width * width;
  const int64_t scores = 2 * pixels * window * window * width;
  CHECK(macs_of("CC" + options) - none == pixels * 9 * width * width);
  CHECK(macs_of("CD" + options) - none == pixels * 25 * width);
  CHECK(macs_of("CP" + options) == none);
  CHECK(macs_of("CW" + options) - none == qkv + proj + scores);
  CHECK(macs_of("CS" + options) == macs_of("CW" + options));
  CHECK(macs_of("CU" + options) - none == qkv + proj + scores + pixels * 25 * width);
  CHECK(macs_of("CH" + options) - none == qkv + proj + 2 * pixels * width);
  CHECK(macs_of("CB" + options) - none ==
        qkv + 2 * pixels * pixels * width + pixels * width * 2 * (2 * 16 - 1));
}

TEST_CASE("Options of a pattern reach the layers") {
  CHECK(parameters_of("CD:width=8,kernel=7") - parameters_of("CD:width=8,kernel=5") ==
        8 * (49 - 25));
  CHECK(parameters_of("CL:width=8,r=7") - parameters_of("CL:width=8,r=5") == 16 * (49 - 25));
  CHECK(parameters_of("CL:width=8,r=5") == parameters_of("CL:width=8,scope=5"));
  // k rows of the projection for each of h heads and each u, their norm, and the embedding
  CHECK(parameters_of("CL:width=8,k=8,r=5") - parameters_of("CL:width=8,k=4,r=5") ==
        4 * (4 + 1) * 8 + 2 * 4 * 4 + 4 * (25 + 1));
  CHECK(parameters_of("CL:width=8,u=2,r=5") - parameters_of("CL:width=8,u=1,r=5") ==
        (16 + 2) * 8 + 2 * 2 + 16 * 25);
  CHECK(parameters_of("CL:width=8,h=2,r=5") - parameters_of("CL:width=8,h=4,r=5") ==
        (2 * 16 + 16 + 4 - 4 * 16 - 16 - 2) * 8 + 2 * (2 * 16 + 4 - 4 * 16 - 2));
  CHECK(parameters_of("CW:width=8,heads=2,head_dim=4,window=8") -
            parameters_of("CW:width=8,heads=2,head_dim=4,window=4") ==
        2 * (15 * 15 - 7 * 7));
  // the stem's filters, and those of the first convolution and shortcut that take its channels
  CHECK(parameters_of("C:preact,width=8,stem=6,stride=2") -
            parameters_of("C:preact,width=8,stem=4,stride=2") ==
        2 * (27 + 9 * 8 + 8 + 2));
  CHECK_THROWS_WITH_AS(parameters_of("C.C:bottleneck,pooled"),
                       doctest::Contains("pooled is of basic blocks"), UsageError);
}

TEST_CASE("Vision transformers of one's own size are counted by hand") {
  const auto count = [](const std::string& name) {
    return make_model(name, {.classes = 10, .image_size = 32}, false)->store().parameter_count();
  };
  // patches and positions, two blocks (norms, attention, an MLP of twice the width), norm, head
  const int64_t block = 4 * 64 + 64 * 3 * 64 + 3 * 64 + 64 * 64 + 64 + 2 * 64 * 128 + 128 + 64;
  CHECK(count("vit_64x2_patch4_mlp2_gap") ==
        48 * 64 + 64 + 64 * 64 + 2 * block + 2 * 64 + 64 * 10 + 10);
  CHECK(count("vit_128x4_patch4_mlp2_gap") == count("vit"));
  for (const char* name : {"vit_100x2_patch4", "vit_64x_patch4", "vit_64x201_patch4",
                           "vit_64x2_patch4_mlp0", "vit_tiny_patch4_mlp2"})
    CHECK_THROWS_AS(count(name), UsageError);
}

}  // namespace
}  // namespace passband
