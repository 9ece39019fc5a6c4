// The table of analyses and what surrounds it: settings, progress, what does not apply,
// comparisons, shared values.
#include <doctest/doctest.h>

#include <any>
#include <cmath>
#include <optional>
#include <set>

#include "analysis/registry.h"
#include "analysis/study/compare.h"
#include "analysis/study/finite.h"
#include "analysis/study/picture_maps.h"
#include "analysis/study/study.h"
#include "analysis/study/training_pictures.h"
#include "data/shapes.h"
#include "data/subset.h"
#include "tensor/ops/pointwise.h"

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
    CHECK(analysis.work);
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
  const auto compared = [&](const std::vector<std::string>& names,
                            const std::vector<double>& values, double half) {
    std::vector<Subject> subjects;
    std::vector<Estimate> estimates;
    for (const std::string& name : names) subjects.push_back(subject(name));
    for (const double value : values) estimates.push_back(Estimate::within(value, half));
    return side_by_side(subjects, estimates, text);
  };
  CHECK(compared({"a", "b"}, {1, 2}, 0.1) == "a 1, b 2");
  CHECK(compared({"a", "b", "c"}, {3, 1, 2}, 0.1) == "a 3, b 1, c 2 (most a, least b)");
  CHECK(compared({"a", "b", "c"}, {std::nan(""), 1, 2}, 0.1) == "a –, b 1, c 2 (most c, least b)");
  CHECK(compared({"a", "b", "c"}, {3, 1, 2}, 2) ==
        "a 3, b 1, c 2 (no difference within the error)");
  CHECK(compared({"a", "b"}, {1, 1}, 0) == "a 1, b 1 (no difference within the error)");
}

TEST_CASE("the interval of a difference of two shares is Newcombe's") {
  // 56 of 70 less 48 of 80: Newcombe (Statistics in Medicine 1998), table II, method 10.
  const Estimate lead = difference(share_of(56, 70), share_of(48, 80));
  CHECK(lead.value == doctest::Approx(0.2));
  CHECK(lead.low == doctest::Approx(0.0524).epsilon(0.002));
  CHECK(lead.high == doctest::Approx(0.3339).epsilon(0.001));
  CHECK(judge(lead) == Verdict::above);
  CHECK(judge(scaled(lead, -100)) == Verdict::below);
  CHECK(judge(difference(share_of(9, 10), share_of(8, 10))) == Verdict::alike);
}

TEST_CASE("a jackknife of a mean is the mean's own interval by Student's t") {
  // The mean of 1, 2, 4, 9: 4, deviation sqrt(38 / 3), and t of three degrees of freedom.
  const Estimate mean = jackknife(4, {15.0 / 3, 14.0 / 3, 12.0 / 3, 7.0 / 3});
  CHECK(mean.value == 4);
  CHECK(mean.high == doctest::Approx(4 + 3.1824 * std::sqrt(38.0 / 3 / 4)).epsilon(1e-6));
  CHECK(mean.low == doctest::Approx(8 - mean.high).epsilon(1e-9));
  CHECK(!std::isfinite(jackknife(4, {3, 5}).high));
  // Fourteen degrees of freedom: t is 2.1448.
  std::vector<double> without(15);
  for (size_t i = 0; i < 15; ++i) without[i] = -static_cast<double>(i) / 14;
  CHECK(jackknife(-0.5, without).high + 0.5 ==
        doctest::Approx(2.1448 * std::sqrt(20.0 / 15)).epsilon(1e-3));
}

TEST_CASE("the least of several has an interval for the choice, and answers change in pairs") {
  const Estimate one = Estimate::within(2, 1.959963985);
  CHECK(least_of({one}).low == doctest::Approx(0.040036).epsilon(1e-5));
  const Estimate least = least_of({Estimate::within(3, 1), one, {}});
  CHECK(least.value == 2);
  CHECK(least.low == doctest::Approx(2 - 2.241403).epsilon(1e-5));  // 0.05 / 2 outside
  CHECK(!std::isfinite(least_of({}).value));
  const std::vector<bool> before = {true, true, false, false, true},
                          after = {true, false, true, false, false};
  const Estimate change = change_of_answers(before, after);
  CHECK(change.value == doctest::Approx(-0.2));
  // Agresti and Min: (1 - 2) of 7, and 4 of 7 that differ.
  const double centre = -1.0 / 7;
  CHECK(change.high - change.value ==
        doctest::Approx(1.959964 * std::sqrt((4.0 / 7 - centre * centre) / 7) + 0.2 - 1.0 / 7)
            .epsilon(1e-5));
}

TEST_CASE("a verdict needs a number beyond its interval and its floor") {
  CHECK(judge(Estimate::within(0.3, 0.2)) == Verdict::above);
  CHECK(judge(Estimate::within(-0.3, 0.2)) == Verdict::below);
  CHECK(judge(Estimate::within(0.3, 0.4)) == Verdict::alike);
  CHECK(judge(Estimate::within(0.3, 0.2), 0, 0.3) == Verdict::alike);
  CHECK(judge(Estimate::within(0.3, 0.2), 0.5) == Verdict::alike);
  CHECK(judge(Estimate::exact(0)) == Verdict::alike);
  CHECK(judge(Estimate{}) == Verdict::unknown);
  CHECK(judge(mean_of({7})) == Verdict::alike);
  // Mean 2, standard error sqrt(2 / 3 / 2) ... of {1, 2, 3}: 1 / sqrt(3).
  const Estimate mean = mean_of({1, 2, 3});
  CHECK(mean.low == doctest::Approx(2 - 1.959964 / std::sqrt(3.0)));
  CHECK(judge(mean) == Verdict::above);
}

TEST_CASE("a list has ends only where its spread exceeds what choosing two of so many makes") {
  const auto list = [](const std::vector<double>& values, double half) {
    std::vector<Named> named;
    for (const double value : values) named.push_back({"", Estimate::within(value, half)});
    return named;
  };
  const Ends ends = ends_of(list({2, 9, 1, std::nan(""), 5}, 1));
  CHECK(ends.differ);
  CHECK(ends.least == 2);
  CHECK(ends.most == 1);
  CHECK(!ends_of(list({4, 4, 4}, 0)).differ);
  CHECK(!ends_of(list({4}, 0)).differ);
  // Two numbers 3 apart with halves of 2 differ (2.83 for the difference); as the ends of twenty
  // they do not: 1 in 20 of 190 pairs is a z of 3.65, 5.27 for the difference.
  CHECK(ends_of(list({0, 3}, 2)).differ);
  std::vector<double> many(20, 1.5);
  many[0] = 0, many[19] = 3;
  CHECK(!ends_of(list(many, 2)).differ);
  many[19] = 5.2;
  CHECK(!ends_of(list(many, 2)).differ);
  many[19] = 5.4;
  CHECK(ends_of(list(many, 2)).differ);
}

TEST_CASE("a mean speaks for parts that agree, a range for others") {
  const auto text = [](double value) { return std::to_string(static_cast<int>(value)) + " px"; };
  CHECK(together({4, 6, 8}, text) == "6 px on average");
  CHECK(together({1, 20}, text) == "1 to 20 px");
  CHECK(together({-4, 4}, text) == "-4 to 4 px");
  CHECK(together({5}, text) == "5 px");
  CHECK(together({0, 0}, text) == "0 px on average");
  CHECK(together({std::nan("")}, text) == "none");
}

TEST_CASE("what is not finite is named and left out, and the others are measured") {
  const auto network = [](double weight) {
    std::shared_ptr<Model> model = make_model("C.C:width=4", {.classes = 2, .image_size = 8});
    if (weight != 0) fill_(model->store().parameters().front()->value.detach(), weight);
    model->store().touch();
    return model;
  };
  CHECK(non_finite_weights(network(0).get()).empty());
  CHECK(non_finite_weights(nullptr).empty());
  CHECK(all_finite(Tensor()));
  CHECK(all_finite(Tensor::zeros({0, 3})));
  const std::string weights = non_finite_weights(network(NAN).get());
  CHECK(weights.find(network(0)->store().parameters().front()->name) != std::string::npos);
  Dataset data{.name = "none", .split = "test", .count = 2, .height = 8, .width = 8};
  data.images.assign(2 * 8 * 8 * 3, 255);
  data.labels = {0, 1};
  data.classes = {"a", "b"};
  data.std = {1, 1, 1};
  Analysis analysis = sample();
  analysis.options = {};
  analysis.run = [](const AnalysisInput& input) {
    Section section;
    for (const Subject& s : input.subjects) {
      classes_read(*s.model, network_images(*s.model, *input.data, {0, 1}));
      section.finding += s.label;
    }
    section.values = {{.key = "v", .label = "A value", .value = NAN}};
    return section;
  };
  AnalysisInput input = with_settings({}, analysis);
  input.data = &data;
  input.subjects = {{.label = "poisoned", .model = network(NAN)},
                    {.label = "whole", .model = network(0)},
                    {.label = "overflowing", .model = network(3e38)}};
  const Section section = run_analysis(analysis, input);
  CHECK(section.finding == "whole");
  REQUIRE(section.not_finite.size() == 3);
  CHECK(section.not_finite[0].starts_with("poisoned: its weights "));
  CHECK(section.not_finite[1].starts_with("overflowing: its activations "));
  CHECK(section.not_finite[2] == "A value");
  CHECK(section.values[0].text == "not finite");
  input.subjects.erase(input.subjects.begin() + 1);
  CHECK(run_analysis(analysis, input).finding.starts_with("Not measured. poisoned: its weights "));
}

TEST_CASE("no analysis measures a network whose activations overflow") {
  std::shared_ptr<Model> model =
      make_model("C.M.L:width=8,head_dim=8,scope=3", {.classes = 10, .image_size = 32});
  fill_(model->store().values(), 3e38);
  model->store().touch();
  const DataSplits data = make_shapes({.train_count = 16, .test_count = 8});
  for (const Analysis& analysis : analyses()) {
    AnalysisInput input = with_settings({}, analysis);
    input.data = &data.test;
    input.train = &data.train;
    input.images = 4;
    input.subjects = {make_subject("overflowing", model)};
    if (!what_lacks(analysis, input).empty()) continue;
    if (analysis.unsuited && !analysis.unsuited(input.subjects[0]).empty()) continue;
    CAPTURE(analysis.name);
    const Section section = run_analysis(analysis, input);
    CHECK(section.finding.starts_with("Not measured. overflowing: "));
    CHECK(section.values.empty());
    CHECK(section.not_finite.size() == 1);
  }
}

TEST_CASE("the picture under a map is the part that the network saw") {
  const std::shared_ptr<Model> model = make_model("C.C:width=4", {.classes = 2, .image_size = 8});
  Dataset data{.name = "none", .split = "test", .count = 2, .height = 11, .width = 11};
  for (int64_t i = 0; i < 2 * 11 * 11 * 3; ++i)
    data.images.push_back(static_cast<uint8_t>(i * 37 + i / 251));
  data.labels = {0, 1};
  data.classes = {"a", "b"};
  data.std = {1, 1, 1};
  const std::vector<double> seen = network_images(*model, data, {1}).values();
  const plot::Picture shown = picture_of(data, 1, 8);
  REQUIRE(shown.rgb.size() == seen.size());
  for (size_t i = 0; i < seen.size(); ++i)
    CHECK(shown.rgb[i] == static_cast<uint8_t>(std::lround(255 * seen[i])));
}

TEST_CASE("the time of an analysis follows the pictures and the settings") {
  const auto work = [](const std::string& name, int64_t images, const OptionTexts& settings) {
    AnalysisInput input = with_settings({}, find_analysis(name), settings);
    input.images = images;
    input.subjects = {{.label = "a", .model = make_model("C.C:width=4", {.classes = 2})}};
    return find_analysis(name).work(input);
  };
  CHECK(work("noise", 100, {}) == 1900);
  CHECK(work("noise", 100, {{"noise.frequencies", "0.1,0.9"}}) == 500);
  CHECK(work("landscape", 10, {{"landscape.side_points", "3"}, {"landscape.line_points", "5"}}) ==
        190);
  CHECK(work("robustness", 10, {{"robustness.extra", "off"}}) == 760);
  CHECK(work("hessian", 20, {}) > work("hessian", 10, {}));
  CHECK(work("lesion", 10, {}) == 10 * (1 + 3 * 2));
}

TEST_CASE("measures of training pictures use the share that a run was trained on") {
  const DataSplits data = make_shapes({.train_count = 200, .test_count = 8});
  AnalysisInput input;
  input.train = &data.train;
  const auto run = std::make_shared<RunDescription>();
  run->settings.data_fraction = 0.25;
  input.subjects = {{.label = "a", .run = run}, {.label = "random"}};
  const Dataset& part = training_pictures(input, input.subjects[0]);
  CHECK(part.count < 80);
  CHECK(part.images == subset(data.train, 0.25).images);
  CHECK(&training_pictures(input, input.subjects[1]) == &part);
  input.subjects[0].run = nullptr;
  CHECK(&training_pictures(input, input.subjects[0]) == &data.train);
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
