#include "train/step_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/core/collective.h"

namespace passband {

std::vector<StepReport> exchange_reports(const StepReport& own, Tensor score) {
  constexpr int64_t kEach = 3;
  const int64_t scores = score.numel(), ranks = process_count();
  std::vector<double> sums(static_cast<size_t>(scores + kEach * ranks), 0.0);
  std::copy_n(score.data<double>(), scores, sums.begin());
  double* const place = sums.data() + scores + kEach * process_rank();
  place[0] = own.loss;
  place[1] = own.seconds;
  place[2] = own.signal;
  sum_over_processes(sums.data(), std::ssize(sums));
  std::copy_n(sums.begin(), scores, score.data<double>());
  std::vector<StepReport> all;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const double* const of = sums.data() + scores + kEach * rank;
    all.push_back({.loss = of[0], .seconds = of[1], .signal = static_cast<int>(of[2])});
  }
  return all;
}

ReportTable read_table(const double* table) {
  ReportTable result;
  for (int rank = 0; rank < process_count(); ++rank) {
    const double* const row = table + kReportWidth * rank;
    const Score own = read_score(row);
    result.reports.push_back(
        {.loss = own.loss_sum / own.rows, .seconds = row[4], .signal = static_cast<int>(row[5])});
    result.score.loss_sum += own.loss_sum;
    result.score.top1 += own.top1;
    result.score.top5 += own.top5;
    result.score.rows += own.rows;
  }
  return result;
}

int first_nonfinite(const std::vector<StepReport>& reports) {
  const auto found =
      std::ranges::find_if(reports, [](const StepReport& r) { return !std::isfinite(r.loss); });
  return found == reports.end() ? -1 : static_cast<int>(found - reports.begin());
}

void RankTimes::add(const std::vector<StepReport>& reports) {
  constexpr double kNewest = 1.0 / 20;
  if (seconds_.empty())
    for (const StepReport& report : reports) seconds_.push_back(report.seconds);
  for (size_t i = 0; i < seconds_.size(); ++i)
    seconds_[i] += kNewest * (reports[i].seconds - seconds_[i]);
}

SlowestRank RankTimes::slowest() const {
  if (seconds_.size() < 2) return {};
  const auto most = std::ranges::max_element(seconds_);
  const double mean =
      std::accumulate(seconds_.begin(), seconds_.end(), 0.0) / static_cast<double>(seconds_.size());
  return {static_cast<int>(most - seconds_.begin()), mean > 0 ? *most / mean - 1 : 0};
}

}  // namespace passband
