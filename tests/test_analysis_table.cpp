// The table of analyses and what surrounds it: settings, progress, what does not apply,
// comparisons, shared values.
#include <doctest/doctest.h>

#include <any>
#include <cmath>
#include <optional>
#include <set>

#include "analysis/registry.h"
#include "analysis/study/compare.h"
#include "analysis/study/study.h"

using namespace passband;

namespace {

enum class Estimator { unbiased, biased };

struct Shared {
  double width = 0.4;
};

struct SampleOptions : Shared {
  Estimator estimator = Estimator::unbiased;
  int64_t count = 8;
  bool shuffle = false;
  std::vector<double> bands = {0.1, 0.5};
  std::optional<double> decay;
};

Section sample_section(const AnalysisInput& input, const SampleOptions& options) {
  return {.finding = std::to_string(input.subjects.size()) +
                     (options.estimator == Estimator::biased ? ", biased" : "")};
}

Analysis sample() {
  const Option<Shared> width = {"width", &Shared::width, "how wide"};
  return {.name = "sample",
          .title = "A sample",
          .question = "What?",
          .cost = "time: none; memory: none",
          .options = options_of<SampleOptions>(
              {{"estimator",
                &SampleOptions::estimator,
                "which",
                {{"unbiased", Estimator::unbiased}, {"biased", Estimator::biased}}},
               {"count", &SampleOptions::count, "how many"},
               {"shuffle", &SampleOptions::shuffle, "whether"},
               {"bands", &SampleOptions::bands, "where"},
               {"decay", &SampleOptions::decay, "how much, or run", "run"},
               width}),
          .run = sample_section};
}

SampleOptions options_in(const AnalysisInput& input) {
  return std::any_cast<SampleOptions>(input.options);
}

Subject subject(const std::string& label) { return {.label = label}; }

}  // namespace

TEST_CASE("every analysis has a name of its own, a question, a cost and valid defaults") {
  std::set<std::string> names;
  for (const Analysis& analysis : analyses()) {
    CAPTURE(analysis.name);
    CHECK(names.insert(analysis.name).second);
    CHECK(analysis.question.ends_with("?"));
    CHECK(analysis.cost.starts_with("time: "));
    CHECK(analysis.cost.find("; memory: ") != std::string::npos);
    CHECK(analysis.work > 0);
    CHECK(!analysis.title.empty());
    CHECK(analysis.run);
    CHECK(analysis.run.options() == analysis.options.type());
    OptionTexts defaults;
    for (const AnalysisOption& option : analysis.options.rows()) {
      CHECK(!option.meaning.empty());
      defaults[analysis.name + "." + option.name] = option.standard;
    }
    CHECK(defaults.size() == analysis.options.rows().size());
    CHECK_NOTHROW(with_settings({}, analysis, defaults));
  }
}

TEST_CASE("settings are the defaults, then what was given, as text and by kind") {
  const AnalysisInput plain = with_settings({}, sample());
  CHECK(plain.settings == OptionTexts{{"estimator", "unbiased"},
                                      {"count", "8"},
                                      {"shuffle", "off"},
                                      {"bands", "0.1,0.5"},
                                      {"decay", "run"},
                                      {"width", "0.4"}});
  CHECK(options_in(plain).estimator == Estimator::unbiased);
  CHECK(options_in(plain).count == 8);
  CHECK(options_in(plain).bands == std::vector<double>{0.1, 0.5});
  CHECK(!options_in(plain).decay);
  const AnalysisInput given = with_settings({}, sample(),
                                            {{"sample.count", "3e1"},
                                             {"sample.shuffle", "true"},
                                             {"sample.estimator", "biased"},
                                             {"sample.bands", "1,-2.5"},
                                             {"sample.decay", "0.5"},
                                             {"sample.width", "2"},
                                             {"other.count", "no number"}});
  CHECK(given.settings.at("count") == "3e1");
  CHECK(options_in(given).count == 30);
  CHECK(options_in(given).shuffle);
  CHECK(options_in(given).estimator == Estimator::biased);
  CHECK(options_in(given).bands == std::vector<double>{1, -2.5});
  CHECK(options_in(given).decay == 0.5);
  CHECK(options_in(given).width == 2);
  CHECK(run_analysis(sample(), with_settings({.subjects = {subject("vit")}}, sample(),
                                             {{"sample.estimator", "biased"}}))
            .finding == "1, biased");
  CHECK_THROWS_AS(sample().run(AnalysisInput{}), Error);
}

TEST_CASE("an option that is unknown or does not fit names the nearest and the rule") {
  const auto refuse = [](const std::string& name, const std::string& value, const char* part) {
    CHECK_THROWS_WITH_AS(with_settings({}, sample(), {{name, value}}), doctest::Contains(part),
                         UsageError);
  };
  refuse("sample.estimater", "biased", "did you mean \"sample.estimator\"");
  refuse("sample.estimator", "biasd", "did you mean \"biased\"");
  refuse("sample.count", "many", "--set sample.count: \"many\" is not a number (how many)");
  refuse("sample.count", "2.5", "not a whole number");
  refuse("sample.shuffle", "perhaps", "not true or false");
  refuse("sample.bands", "0.1,x", "not a list of numbers");
  refuse("sample.decay", "x", "not run or a number");
  CHECK_THROWS_WITH_AS(find_analysis("calibratoin"), doctest::Contains("\"calibration\""),
                       UsageError);
}

TEST_CASE("a default in words that mean another value than the struct's is refused") {
  const auto table = [](const std::string& words) {
    return options_of<SampleOptions>(
        {Option<SampleOptions>("shuffle", &SampleOptions::shuffle, "whether").written(words)});
  };
  CHECK(table("false").rows().at(0).standard == "false");
  CHECK_THROWS_AS(table("true"), Error);
  CHECK_THROWS_AS(table("none"), Error);
}

TEST_CASE("progress of parts adds up to the whole") {
  std::vector<Progress::Report> seen;
  const Progress whole([&](const Progress::Report& report) { seen.push_back(report); });
  const Progress second = whole.part(1, 2, "vit");
  second(0, 10, "pictures");
  second.part(3, 4, "layer 4")(5, 10);
  second(20, 10);
  CHECK(seen[0].done == doctest::Approx(0.5));
  CHECK(seen[0].unit == "pictures");
  CHECK(seen[1].done == doctest::Approx(0.5 + 0.5 * (0.75 + 0.125)));
  CHECK(seen[1].label == "vit, layer 4");
  CHECK(seen[2].done == 1);
  CHECK_NOTHROW(Progress()(1, 2));
}

TEST_CASE("the time left goes by the pace of this call, not by what an earlier one left") {
  Pace pace(100);
  CHECK(!pace.left(110, 0).has_value());
  CHECK(*pace.left(110, 0.25) == doctest::Approx(30));  // 10 s a quarter
  pace.kept(110, 0.5);
  CHECK(!pace.left(111, 0.5).has_value());
  CHECK(*pace.left(120, 0.6) == doctest::Approx(40));  // 10 s a tenth

  std::vector<Progress::Report> seen;
  const Progress whole([&](const Progress::Report& report) { seen.push_back(report); });
  whole.part(1, 2).kept(3, 4, "points");
  whole.part(1, 2)(4, 4, "points");
  CHECK(seen.at(0).kept);
  CHECK(seen[0].done == doctest::Approx(0.875));
  CHECK(!seen.at(1).kept);
}

TEST_CASE("a network an analysis does not apply to is left out, with the reason") {
  Analysis analysis = sample();
  analysis.unsuited = [](const Subject& s) {
    return s.label == "resnet" ? "it has no attention." : "";
  };
  AnalysisInput input;
  input.subjects = {subject("vit"), subject("resnet")};
  input = with_settings(std::move(input), analysis);
  const Section some = run_analysis(analysis, input);
  CHECK(some.finding == "1");
  CHECK(some.name == "sample");
  CHECK(some.title == "A sample");
  CHECK(some.question == analysis.question);
  CHECK(some.cost == analysis.cost);
  CHECK(some.caveats == std::vector<std::string>{"Left out: resnet: it has no attention."});
  input.subjects = {subject("resnet")};
  const Section none = run_analysis(analysis, input);
  CHECK(none.name == "sample");
  CHECK(none.finding == "Does not apply. resnet: it has no attention.");
}

TEST_CASE("what a call lacks is said instead of failing") {
  Analysis analysis = sample();
  analysis.lacking = [](const AnalysisInput&) { return "It needs a second run."; };
  AnalysisInput input;
  input.subjects = {subject("vit")};
  CHECK(run_analysis(analysis, input).finding == "Does not apply. It needs a second run.");
}

TEST_CASE("a shared value is made once") {
  Memo memo;
  int made = 0;
  const auto make = [&] { return ++made, std::string("value"); };
  for (int i = 0; i < 3; ++i) CHECK(memo.get<std::string>("key", make) == "value");
  CHECK(made == 1);
}

TEST_CASE("a comparison names every network, and the ends from three on") {
  const auto text = [](double value) { return std::to_string(static_cast<int>(value)); };
  CHECK(side_by_side({subject("a"), subject("b")}, {1, 2}, text) == "a 1, b 2");
  CHECK(side_by_side({subject("a"), subject("b"), subject("c")}, {3, 1, 2}, text) ==
        "a 3, b 1, c 2 (most a, least b)");
  CHECK(side_by_side({subject("a"), subject("b"), subject("c")}, {std::nan(""), 1, 2}, text) ==
        "a –, b 1, c 2 (most c, least b)");
}

TEST_CASE("the key of a section changes with weights, settings and number of pictures") {
  Dataset data{.name = "none", .classes = {"a"}};
  AnalysisInput input = with_settings({}, sample());
  input.data = &data;
  input.subjects = {subject("vit")};
  const std::string key = section_key(sample(), input);
  CHECK(section_key(sample(), input) == key);
  AnalysisInput other = input;
  other.subjects[0].fingerprint = "weights";
  CHECK(section_key(sample(), other) != key);
  other = input;
  other.settings["count"] = "9";
  CHECK(section_key(sample(), other) != key);
  other = input;
  other.images = 5;
  CHECK(section_key(sample(), other) != key);
}
