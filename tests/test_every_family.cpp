// Every analysis on a tiny member of every family: it runs and its numbers are finite, or it says
// why it does not apply and which analysis does.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "analysis/study/study.h"
#include "tests/small_models.h"
#include "tests/test_analysis_models.h"
#include "tests/tiny_network.h"

using namespace passband;
using namespace passband::testing;

namespace {

// Too dear for a table of all families, or about runs; each has tests of its own.
const std::set<std::string> kElsewhere = {"robustness",      "landscape",  "hessian",
                                          "probes",          "shape-bias", "heatmap",
                                          "channel-rollout", "curves",     "augmented"};
// For which one picture is enough.
const std::set<std::string> kOnePicture = {"rollout-norm", "rollout-class", "lesion", "skip"};

const std::map<std::string, std::string> kSettings = {{"rollout.pictures", "1"},
                                                      {"rollout.convolution", "area"},
                                                      {"rollout-gradient.pictures", "1"},
                                                      {"rollout-class.pictures", "1"},
                                                      {"rollout-gradient.convolution", "area"},
                                                      {"rollout-class.convolution", "area"},
                                                      {"receptive-field.draws", "1"},
                                                      {"cka.layers", "all"},
                                                      {"similarity.layers", "all"},
                                                      {"similarity.features", "pooled"}};

bool names_another(const std::string& text, const std::string& name) {
  return std::ranges::any_of(analyses(), [&](const Analysis& other) {
    return other.name != name && text.find(other.name) != std::string::npos;
  });
}

std::map<std::string, std::string> settings_of(const std::string& analysis) {
  std::map<std::string, std::string> own;
  for (const auto& [name, value] : kSettings)
    if (name.starts_with(analysis + ".")) own[name] = value;
  return own;
}

}  // namespace

TEST_CASE("every analysis runs on every family, or says why not and what does") {
  for (const Family& family : kFamilies) {
    const int64_t side = family.side;
    const ModelOptions options{.classes = 3, .image_size = side, .seed = 1};
    const Subject first = make_subject("a", make_model(family.name, options)),
                  second = make_subject("b", make_model(family.name, {3, side, 0, 0, 2}));
    const Dataset data = random_pictures(8, side, 3, 1);
    for (const Analysis& analysis : analyses()) {
      if (kElsewhere.contains(analysis.name)) continue;
      CAPTURE(std::string(family.name));
      CAPTURE(analysis.name);
      const bool compares = analysis.name == "growth" || analysis.name == "heads";
      const Section section =
          run_named(analysis.name, compares ? std::vector{first, second} : std::vector{first}, data,
                    settings_of(analysis.name), kOnePicture.contains(analysis.name) ? 1 : 4);
      CAPTURE(section.finding);
      CHECK(!section.finding.empty());
      CHECK(section.not_finite.empty());
      CHECK(section.finding.find("nan") == std::string::npos);
      if (section.figures.empty()) CHECK(names_another(section.finding, analysis.name));
    }
  }
}
