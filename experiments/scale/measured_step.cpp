#include "experiments/scale/measured_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tensor/core/error.h"
#include "tensor/core/file.h"

namespace passband::scale {
namespace {

using Json = nlohmann::json;

double median(std::vector<double> values) {
  CHECK(!values.empty(), "median: of nothing");
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

struct Span {
  double begin, end;
  int64_t offset;
};

// By category, in seconds and in the order of their beginnings.
std::map<std::string, std::vector<Span>> spans_by_category(const Json& trace) {
  std::map<std::string, std::vector<Span>> spans;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    const double begin = event.at("ts").get<double>() / 1e6;
    const std::string category = event.at("cat");
    spans[category].push_back(
        {begin, begin + event.at("dur").get<double>() / 1e6,
         category == "gradient" ? event.at("args").at("offset").get<int64_t>() : -1});
  }
  for (auto& [category, all] : spans) std::ranges::sort(all, {}, &Span::begin);
  return spans;
}

double median_duration(const std::vector<Span>& spans) {
  std::vector<double> durations;
  for (const Span& span : spans) durations.push_back(span.end - span.begin);
  return median(durations);
}

void read_backward(const std::vector<Span>& backward, const std::vector<Span>& gradients,
                   MeasuredStep& step) {
  std::map<int64_t, std::vector<double>> whole;  // by offset, since the pass began
  auto pass = backward.begin();
  for (const Span& gradient : gradients) {
    while (pass + 1 != backward.end() && (pass + 1)->begin <= gradient.begin) ++pass;
    whole[gradient.offset].push_back(gradient.end - pass->begin);
  }
  for (const GradientRange& parameter : step.parameters) {
    const auto found = whole.find(parameter.begin);
    step.whole.push_back(found == whole.end() ? -1 : median(found->second));
  }
}

MeasuredStep step_of(const Json& trace) {
  const Json& facts = trace.at("otherData");
  if (facts.at("processes") != 1)
    throw DataError(
        fmt::format("is of {} processes, whose backward passes send too; make one of "
                    "one process",
                    facts.at("processes").get<int64_t>()));
  MeasuredStep step{.model = facts.at("model"),
                    .device = facts.at("device"),
                    .batch_size = facts.at("batch_size")};
  for (const Json& parameter : facts.at("parameters"))
    step.parameters.push_back({parameter.at("begin"), parameter.at("count")});
  auto spans = spans_by_category(trace);
  const std::vector<Span>& backward = spans["backward"];
  step.steps = std::ssize(spans["step"]);
  if (step.steps == 0 || std::ssize(backward) != step.steps || spans["gradient"].empty())
    throw DataError(
        fmt::format("has {} steps with {} backward passes and {} gradients; make one on the "
                    "processor with one backward pass a step",
                    step.steps, backward.size(), spans["gradient"].size()));
  step.forward = median_duration(spans["forward"]);
  step.backward = median_duration(backward);
  step.optimiser = median_duration(spans["optimiser"]);
  read_backward(backward, spans["gradient"], step);
  return step;
}

}  // namespace

MeasuredStep read_profile(const std::string& path) {
  try {
    return step_of(Json::parse(read_file(path)));
  } catch (const Json::exception& error) {
    throw DataError(fmt::format("{}: is no profile of train --profile: {}", path, error.what()));
  } catch (const DataError& error) {
    if (std::string(error.what()).starts_with(path)) throw;
    throw DataError(fmt::format("{}: {}", path, error.what()));
  }
}

BucketedWork in_buckets(const MeasuredStep& step, int64_t first_bytes, int64_t bytes) {
  BucketedWork result{
      .work = {.forward = step.forward, .backward = step.backward, .optimiser = step.optimiser}};
  double ready = 0;
  for (const GradientRange& bucket : gradient_buckets(step.parameters, first_bytes, bytes)) {
    for (size_t i = 0; i < step.parameters.size(); ++i)
      if (step.parameters[i].begin >= bucket.begin &&
          step.parameters[i].begin < bucket.begin + bucket.count)
        ready = std::max(ready, step.whole[i]);
    result.work.ready.push_back(std::min(ready, step.backward));
    result.elements.push_back(bucket.count);
  }
  return result;
}

}  // namespace passband::scale
