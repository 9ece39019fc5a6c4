// Several processes at one report: the first makes it, as one alone would; the others take their
// part of the sections that split their pictures.
#pragma once
#include <functional>

#include "analysis/jobs.h"

namespace passband {

// While one lives in the first process, the others may wait in `join_in`; its end ends their
// waiting.
class Team {
 public:
  Team() = default;
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // Makes the section of a job, with the others where it splits pictures.
  Section run(const Job& job) const;
};

// What any other process does until the first is done. `stopped` says whether somebody wants this
// process to end.
void join_in(const AnalyzeOptions& options, const Study& study,
             const std::function<bool()>& stopped);

}  // namespace passband
