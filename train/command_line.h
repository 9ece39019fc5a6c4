// The command line of `train`.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/page_server.h"
#include "models/run_config.h"

namespace passband {

struct Options {
  Values given;  // settings, in order
  std::optional<std::string> resume;
  std::string output, list, log;
  std::optional<std::vector<std::string>> runs;  // to be listed, or two to be compared
  std::string deleted;                           // run that is to be deleted
  std::vector<std::string> patterns;             // whose speed --list models measures
  std::vector<std::string> pack;                 // a folder, and where its shards shall lie
  int64_t pack_shards = 0;
  bool pack_shuffle = false;
  bool json = false, dry_run = false, doctor = false, quiet = false, live = false;
  int port = kFirstPort;  // of --live
  int64_t profile = 0;    // steps
};

// Nothing when help or the version was asked for, and printed. Throws UsageError.
std::optional<Options> parse_command_line(int argc, const char* const* argv);

}  // namespace passband
