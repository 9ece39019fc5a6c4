// StepProfile: the timeline of a few steps of all processes, as a file that chrome://tracing and
// https://ui.perfetto.dev show (`train --profile`).
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "nn/parameters.h"
#include "tensor/core/timeline.h"

namespace passband {

// What the file says of the run besides its spans.
struct ProfiledRun {
  std::string model, device;
  int64_t batch_size = 0;  // of all processes
  int threads = 0;         // of each
};

// The spans of all processes in the trace event format: a process a rank, a track an activity, a
// track a bucket; times in microseconds since the first span. `otherData` holds the run, and
// parameters and buckets as ranges of the flat gradient vector.
//   spans: of each rank, by the clock of rank 0
std::string trace_json(const std::vector<std::vector<TimeSpan>>& spans, const ProfiledRun& run,
                       const ParameterStore& store);

// All processes of a training make one, and call the same functions at the same steps; the first
// one writes.
class StepProfile {
 public:
  // Of the third step of the training to the one `steps` later, and of the first evaluation after
  // them. `file`: replaced whole after the last of these steps and again after the evaluation;
  // what comes to an end before them has those that there were. The store must outlive this.
  StepProfile(std::filesystem::path file, int64_t steps, ProfiledRun run,
              const ParameterStore& store);

  // Around each step, by its number from 1.
  void begin_step(int64_t step);
  void end_step();
  void begin_evaluation();
  void end_evaluation();
  // The training is over, or stops.
  void end();

 private:
  void write();

  std::filesystem::path file_;
  int64_t steps_, seen_ = 0, step_ = 0;
  ProfiledRun run_;
  const ParameterStore& store_;
  std::vector<double> meetings_;  // times at which all processes left the same wait
  std::vector<TimeSpan> spans_;   // of this process
  double step_began_ = -1;
  bool recorded_ = false, evaluated_ = false;
};

}  // namespace passband
