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

double chosen(std::vector<double> values, Duration duration) {
  CHECK(!values.empty(), "measured_step: no durations");
  const int64_t at = duration == Duration::least ? 0 : std::ssize(values) / 2;
  std::ranges::nth_element(values, values.begin() + at);
  return values[static_cast<size_t>(at)];
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

double duration_of(const std::vector<Span>& spans, Duration duration) {
  std::vector<double> durations;
  for (const Span& span : spans) durations.push_back(span.end - span.begin);
  return chosen(durations, duration);
}

// A gradient takes as long as since the one before, in the order of the first pass.
void read_backward(const std::vector<Span>& backward, const std::vector<Span>& gradients,
                   Duration duration, MeasuredStep& step) {
  std::vector<int64_t> order;
  std::map<int64_t, std::vector<double>> took;  // by offset
  std::vector<double> rest;
  auto gradient = gradients.begin();
  for (const Span& pass : backward) {
    double before = pass.begin;
    for (; gradient != gradients.end() && gradient->begin <= pass.end; ++gradient) {
      if (rest.empty()) order.push_back(gradient->offset);
      took[gradient->offset].push_back(gradient->end - before);
      before = gradient->end;
    }
    rest.push_back(pass.end - before);
  }
  std::map<int64_t, double> whole;
  for (const int64_t offset : order)
    whole[offset] = step.backward += chosen(took[offset], duration);
  step.backward += chosen(rest, duration);
  for (const GradientRange& parameter : step.parameters) {
    const auto found = whole.find(parameter.begin);
    step.whole.push_back(found == whole.end() ? -1 : found->second);
  }
}

MeasuredStep step_of(const Json& trace, Duration duration) {
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
  step.forward = duration_of(spans["forward"], duration);
  step.optimiser = duration_of(spans["optimiser"], duration);
  read_backward(backward, spans["gradient"], duration, step);
  return step;
}

}  // namespace

MeasuredStep read_profile(const std::string& path, Duration duration) {
  const std::string text = read_file(path);
  try {
    return step_of(Json::parse(text), duration);
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
