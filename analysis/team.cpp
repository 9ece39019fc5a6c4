#include "analysis/team.h"

#include <fmt/format.h>

#include <cstdlib>

#include "analysis/registry.h"
#include "analysis/study/own_part.h"
#include "tensor/core/collective.h"
#include "tensor/core/storage.h"

namespace passband {

// Where the others are lost, they do not wait.
Team::~Team() {
  if (process_count() == 1) return;
  std::string nothing;
  try {
    broadcast(nothing);
  } catch (const ProcessLost&) {
    return;
  }
}

Section Team::run(const Job& job) const {
  if (process_count() == 1 || !job.splits_pictures) return job.run(job.input);
  std::string call = fmt::format("{} {:a}", job.name, job.input.share);
  broadcast(call);
  const SplitsPictures split;
  return job.run(job.input);
}

void join_in(const AnalyzeOptions& options, const Study& study,
             const std::function<bool()>& stopped) {
  for (std::string call;;) {
    broadcast(call);
    if (call.empty()) return;
    const size_t end = call.find(' ');
    const Analysis& analysis = find_analysis(call.substr(0, end));
    AnalysisInput input = with_settings(study.input, analysis, options.study.settings);
    input.share = std::strtod(call.c_str() + end, nullptr);
    input.progress = Progress([&](const Progress::Report&) {
      if (stopped()) throw Interrupted();
    });
    const SplitsPictures split;
    try {
      run_analysis(analysis, std::move(input));
    } catch (const ProcessLost&) {
      throw;
    } catch (const std::exception&) {  // what the first process met too, and says
    }
    release_cached_memory();
    const Device device = study.input.subjects.front().model->device();
    if (device != Device{}) release_cached_memory(device);
  }
}

}  // namespace passband
