#include "analysis/study/training_pictures.h"

#include <fmt/format.h>

#include "data/subset.h"

namespace passband {

const RunDescription* training_run(const AnalysisInput& input, const Subject& subject) {
  return subject.run ? subject.run.get() : input.subjects.front().run.get();
}

const Dataset& training_pictures(const AnalysisInput& input, const Subject& subject) {
  if (!input.train)
    throw UsageError(subject.label + ": there are no training pictures to measure it on");
  const RunDescription* run = training_run(input, subject);
  if (!run || run->settings.data_fraction == 1) return *input.train;
  const std::string key =
      fmt::format("training pictures {} {}", static_cast<const void*>(input.train),
                  run->settings.data_fraction);
  return input.memo->get<Dataset>(
      key, [&] { return subset(*input.train, run->settings.data_fraction); });
}

}  // namespace passband
