// The command line of `analyze`.
#pragma once
#include <string>
#include <vector>

#include "analysis/study/study.h"
#include "models/page_server.h"

namespace passband {

struct AnalyzeOptions {
  StudyRequest study;
  std::vector<std::string> only;
  int64_t threads = 0;
  int64_t processes = 0;  // > 0: that the call asks for
  double minutes = 0;     // > 0: that the call may take
  bool full = false, along = false, json = false, list = false, fresh = false;
  bool explore = false;  // write the explorer instead of the report
  bool serve = false;    // serve it
  int port = kFirstPort;
};

// Reads the arguments into `options`; false when they asked for help, which is then printed. Throws
// UsageError.
bool parse_command_line(int argc, char** argv, AnalyzeOptions& options);

// Names, questions, costs and options of all analyses, for readers or as JSON.
void print_list(bool json);

}  // namespace passband
