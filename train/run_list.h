// The runs in runs/: a table of them, what tells two of them apart, and removing one.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/run.h"

namespace passband {

// What the table says of a run.
struct RunRow {
  std::string name, data, model, recipe;
  double planned_epochs = 0;     // all of them
  int64_t step = 0, epochs = 0;  // trained, as it was saved last
  double top1 = -1;              // of the best evaluation, a share; -1: none yet
  double tta = -1;     // of the same weights, over views of the pictures; -1: not asked for
  double seconds = 0;  // of training
  std::string date;    // when it began
  std::string fault;   // why the folder can not be read; then all else is empty
};

// Best first, then those without an evaluation, then folders that are broken.
std::vector<RunRow> list_runs(const std::filesystem::path& runs);

// `train --runs`: the table; of two names, their settings and results that differ.
void print_runs(bool json);
void print_comparison(const std::string& a, const std::string& b, bool json);

// Removes runs/NAME and all that is in it; says what it was. Throws UsageError for a name that is
// not exactly a run's, and when a train is at work on it.
void delete_run(const std::string& name);

}  // namespace passband
