#include "analysis/study/own_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <new>
#include <numeric>

#include "analysis/study/finite.h"
#include "analysis/study/progress.h"
#include "tensor/core/collective.h"

namespace passband {
namespace {

thread_local bool splits_pictures = false;

// How a process's work ended, in numbers that can be added up: a kind, then letters.
constexpr double kFine = 0, kInterrupted = 1, kError = 2, kNotFinite = 3;  // + the model's index
constexpr size_t kLetters = 400;

struct Outcome {
  double kind = kFine;
  std::string text;
  std::exception_ptr error;
};

Outcome outcome_of(const std::vector<const Model*>& models, const std::function<void()>& work) {
  Outcome own;
  try {
    work();
  } catch (const ProcessLost&) {
    throw;
  } catch (const Interrupted&) {
    own = {kInterrupted, "", std::current_exception()};
  } catch (const NotFinite& error) {
    const auto at = std::ranges::find(models, &error.model()) - models.begin();
    own = {at < std::ssize(models) ? kNotFinite + static_cast<double>(at) : kError, error.what(),
           std::current_exception()};
  } catch (const std::bad_alloc&) {
    own = {kError, "out of memory; use fewer --images", std::current_exception()};
  } catch (const std::exception& error) {
    own = {kError, error.what(), std::current_exception()};
  }
  return own;
}

[[noreturn]] void throw_as(const std::vector<double>& row, int rank,
                           const std::vector<const Model*>& models) {
  if (row[0] == kInterrupted) throw Interrupted();
  std::string text;
  for (size_t i = 1; i < row.size() && row[i] != 0; ++i) text += static_cast<char>(row[i]);
  if (row[0] == kError) throw Error(fmt::format("{}: {}", process_name(rank), text));
  throw NotFinite(*models[static_cast<size_t>(row[0] - kNotFinite)], text);
}

}  // namespace

SplitsPictures::SplitsPictures() { splits_pictures = process_count() > 1; }
SplitsPictures::~SplitsPictures() { splits_pictures = false; }

bool pictures_are_split() { return splits_pictures; }

OwnPart::OwnPart(int64_t units) : end(units) {
  const int64_t processes = process_count();
  split = splits_pictures && units >= processes;
  if (!split) return;
  begin = units * process_rank() / processes;
  end = units * (process_rank() + 1) / processes;
}

void OwnPart::run(const std::vector<const Model*>& models,
                  const std::function<void()>& work) const {
  if (!split) return work();
  const Outcome own = outcome_of(models, work);
  const std::vector<double> kinds = rows_of_processes({own.kind});
  const auto failed = std::ranges::find_if(kinds, [](double kind) { return kind != kFine; });
  if (failed == kinds.end()) return;
  const auto rank = static_cast<int>(failed - kinds.begin());
  std::vector<double> row(1 + kLetters, 0.0);
  if (rank == process_rank()) {
    row[0] = own.kind;
    for (size_t i = 0; i < std::min(kLetters, own.text.size()); ++i) row[1 + i] = own.text[i];
  }
  sum_over_processes(row.data(), std::ssize(row));
  if (rank == process_rank()) std::rethrow_exception(own.error);
  throw_as(row, rank, models);
}

void OwnPart::run_batches(const std::vector<const Model*>& models, int64_t size,
                          const std::function<void(int64_t, int64_t)>& work) const {
  run(models, [&] {
    for (int64_t first = begin; first < end; first += size)
      work(first, std::min(size, end - first));
  });
}

void OwnPart::join(double& sum) const {
  if (split) sum_over_processes(&sum, 1);
}

void OwnPart::join(int64_t& sum) const {
  auto number = static_cast<double>(sum);
  join(number);
  sum = static_cast<int64_t>(number);
}

void OwnPart::join(std::vector<double>& sums) const {
  if (split) sum_over_processes(sums.data(), std::ssize(sums));
}

void OwnPart::join(std::vector<int64_t>& sums) const {
  std::vector<double> numbers(sums.begin(), sums.end());
  join(numbers);
  std::ranges::transform(numbers, sums.begin(), [](double n) { return static_cast<int64_t>(n); });
}

void OwnPart::join(Tensor& sums) const {
  if (!split || !sums.defined()) return;
  std::vector<double> numbers = sums.values();
  join(numbers);
  sums = Tensor::from(numbers, sums.shape(), sums.dtype(), sums.device());
}

void OwnPart::append(std::vector<double>& numbers) const {
  if (!split) return;
  const std::vector<double> counts = rows_of_processes({static_cast<double>(numbers.size())});
  const auto own = counts.begin() + process_rank();
  const double before = std::accumulate(counts.begin(), own, 0.0);
  std::vector<double> all(static_cast<size_t>(std::accumulate(counts.begin(), counts.end(), 0.0)),
                          0.0);
  std::ranges::copy(numbers, all.begin() + static_cast<int64_t>(before));
  sum_over_processes(all.data(), std::ssize(all));
  numbers = std::move(all);
}

void OwnPart::append(std::vector<bool>& answers) const {
  if (!split) return;
  std::vector<double> numbers(answers.begin(), answers.end());
  append(numbers);
  answers.assign(numbers.size(), false);
  for (size_t i = 0; i < numbers.size(); ++i) answers[i] = numbers[i] != 0;
}

}  // namespace passband
