// What the processes of a training tell each other of every step.
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/ops/training/score.h"

namespace passband {

struct StepReport {
  double loss = 0;     // mean over the process's own pictures
  double seconds = 0;  // since the step before, waiting for others not counted
  int signal = 0;      // that asks for a stop, or 0
};

// Of all processes, by rank. `score` (tensor/ops/training/score.h) becomes that of all pictures.
std::vector<StepReport> exchange_reports(const StepReport& own, Tensor score);

// The same where a score is on a GPU and nobody waits for it: what a process tells is a row of a
// table that is added up there, f64 (ranks, kReportWidth), its score, then seconds and signal.
inline constexpr int64_t kReportWidth = 6;
struct ReportTable {
  std::vector<StepReport> reports;
  Score score;  // of all
};
ReportTable read_table(const double* table);

// The first process whose loss is not finite, or -1.
int first_nonfinite(const std::vector<StepReport>& reports);

// A rank, and how much longer than the mean of all it took, as a share of that.
struct SlowestRank {
  int rank = -1;
  double behind = 0;
};

// Watches who is slowest, over about the last 20 steps.
class RankTimes {
 public:
  void add(const std::vector<StepReport>& reports);
  SlowestRank slowest() const;

 private:
  std::vector<double> seconds_;  // weighted means, by rank
};

}  // namespace passband
