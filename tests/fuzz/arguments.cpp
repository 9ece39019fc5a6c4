// Targets: the command lines of the programs, up to what they are checked against.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "analysis/jobs.h"
#include "tests/fuzz/read_or_refuse.h"
#include "tests/fuzz/targets.h"
#include "train/command_line.h"
#include "train/config.h"

namespace passband::fuzz {
namespace {

// Nothing is printed for a scope: help is long.
class Silence {
 public:
  Silence() : before_(::dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::close(nowhere);
  }
  ~Silence() {
    std::fflush(stdout);
    ::dup2(before_, STDOUT_FILENO);
    ::close(before_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  int before_;
};

// A program's name and words, one a line, as main() gets them.
class Arguments {
 public:
  Arguments(const char* program, std::string_view bytes) : words_{program} {
    std::istringstream lines{std::string(bytes)};
    for (std::string line; std::getline(lines, line);)
      words_.push_back(line.substr(0, line.find('\0')));
    for (std::string& word : words_) pointers_.push_back(word.data());
    pointers_.push_back(nullptr);
  }
  int count() const { return static_cast<int>(words_.size()); }
  char** values() { return pointers_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

}  // namespace

void train_arguments(std::string_view bytes) {
  Arguments arguments("train", bytes);
  const Silence silence;
  read_or_refuse([&] {
    const auto options = parse_command_line(arguments.count(), arguments.values());
    if (options) resolve(options->given);
  });
}

void analyze_arguments(std::string_view bytes) {
  Arguments arguments("analyze", bytes);
  const Silence silence;
  read_or_refuse([&] {
    AnalyzeOptions options;
    if (parse_command_line(arguments.count(), arguments.values(), options))
      chosen_analyses(options);
  });
}

}  // namespace passband::fuzz
