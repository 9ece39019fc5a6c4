// fuzz_replay CORPUS [MUTATIONS [TARGET...]]: gives every file of the corpus, and this many
// mutations of each that are the same every time, to its target. A fault ends the program, which
// has then written the bytes to fault-<target>.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

#include "tensor/core/file.h"
#include "tensor/core/random.h"
#include "tests/fuzz/targets.h"

namespace passband::fuzz {
namespace {

namespace fs = std::filesystem;

// What is being tried, for the handler of a crash.
std::string current_bytes, current_file;

void keep_bytes() { std::ofstream(current_file, std::ios::binary) << current_bytes; }

void on_crash(int signal) {
  keep_bytes();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

class Mutator {
 public:
  Mutator(uint64_t seed, const std::vector<std::string>& corpus)
      : draw_({.seed = seed, .site = site_of("mutator")}), corpus_(corpus) {}

  std::string mutate(std::string text) {
    for (int64_t edits = 1 + draw_.below(4); edits > 0; --edits) edit(text);
    return text;
  }

 private:
  size_t below(size_t end) {
    return static_cast<size_t>(draw_.below(static_cast<int64_t>(std::max<size_t>(1, end))));
  }

  void edit(std::string& text) {
    const size_t at = below(text.size() + 1);
    const std::string& other = corpus_[below(corpus_.size())];
    const size_t from = below(other.size());
    switch (below(text.empty() ? 2 : 7)) {
      case 0: text.insert(at, 1, static_cast<char>(below(256))); break;
      case 1: text.insert(at, other.substr(from, 1 + below(32))); break;
      case 2: text[at % text.size()] = static_cast<char>(below(256)); break;
      case 3:
        text[at % text.size()] = static_cast<char>(text[at % text.size()] ^ 1 << below(8));
        break;
      case 4: text.erase(at % text.size(), 1 + below(16)); break;
      case 5: text.insert(at, text.substr(at, 1 + below(64))); break;
      default: replace_number(text, at % text.size()); break;
    }
  }

  // Sizes in headers are where the harm is.
  void replace_number(std::string& text, size_t at) {
    static const std::vector<std::string> numbers = {"0",
                                                     "-1",
                                                     "65536",
                                                     "2147483648",
                                                     "4294967295",
                                                     "9223372036854775807",
                                                     "18446744073709551615",
                                                     "1e308",
                                                     "nan",
                                                     std::string(4, '\xff'),
                                                     std::string(8, '\0')};
    const size_t begin = std::min(text.size(), text.find_first_of("0123456789", at));
    const size_t end = std::min(text.size(), text.find_first_not_of("0123456789", begin));
    text.replace(begin, end - begin, numbers[below(numbers.size())]);
  }

  RandomSequence draw_;
  const std::vector<std::string>& corpus_;
};

std::vector<std::string> read_corpus(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    paths.push_back(entry.path());
  std::ranges::sort(paths);
  std::vector<std::string> corpus;
  for (const fs::path& path : paths) corpus.push_back(read_file(path.string()));
  return corpus;
}

// What one input takes longer than is a fault as well.
constexpr unsigned kLongestSeconds = 20;

void try_bytes(const Target& target, std::string bytes) {
  current_bytes = std::move(bytes);
  ::alarm(kLongestSeconds);
  try {
    target.run(current_bytes);
  } catch (const std::exception& error) {
    keep_bytes();
    std::cerr << target.name << ": " << error.what() << "; see " << current_file << std::endl;
    std::exit(1);
  }
  ::alarm(0);
}

void replay(const Target& target, const fs::path& folder, int64_t mutations) {
  const std::vector<std::string> corpus = read_corpus(folder);
  current_file = "fault-" + std::string(target.name);
  const auto begin = std::chrono::steady_clock::now();
  Mutator mutator(1, corpus);
  for (const std::string& seed : corpus) {
    try_bytes(target, seed);
    for (int64_t i = 0; i < mutations; ++i) try_bytes(target, mutator.mutate(seed));
  }
  std::cout << target.name << ": " << corpus.size() << " files, " << std::ssize(corpus) * mutations
            << " mutations, "
            << std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()
            << " s" << std::endl;
}

}  // namespace
}  // namespace passband::fuzz

int main(int argc, char** argv) {
  using namespace passband::fuzz;
  if (argc < 2) {
    std::cerr << "usage: fuzz_replay CORPUS [MUTATIONS [TARGET...]]" << std::endl;
    return 2;
  }
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGALRM})
    std::signal(signal, on_crash);
  const int64_t mutations = argc > 2 ? std::atoll(argv[2]) : 0;
  const std::vector<std::string> chosen(argv + std::min(argc, 3), argv + argc);
  for (const Target& target : kTargets)
    if (chosen.empty() || std::ranges::find(chosen, target.name) != chosen.end())
      replay(target, std::filesystem::path(argv[1]) / target.name, mutations);
}
