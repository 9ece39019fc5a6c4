#include "train/launch.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "tensor/core/checksum.h"
#include "tensor/core/collective.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"
#include "tensor/core/version.h"
#include "tensor/cpu/level.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

// Where settings may differ from process to process.
constexpr std::array kOfEachProcess = {"data", "data_dir", "threads", "device", "processes"};

// What may not.
std::vector<std::string> facts_of(const RunConfig& config) {
  std::vector<std::string> facts = {
      fmt::format("version {}", version()),
      fmt::format("instructions {} (PASSBAND_ISA chooses)", cpu::name_of(cpu::level()))};
  for (const Setting& s : settings())
    if (std::ranges::find(kOfEachProcess, std::string_view(s.key)) == kOfEachProcess.end())
      facts.push_back(fmt::format("{} = {}", s.key, value_text(config.settings, s)));
  const auto add = [&](const char* name, const DataFingerprint::Split& split) {
    facts.push_back(fmt::format("{}: {} of checksum {}", name, counted(split.count, "picture"),
                                checksum_text(split.pictures ^ split.labels)));
  };
  add("training pictures", config.data.train);
  add("validation pictures", config.data.val);
  add("test pictures", config.data.test);
  return facts;
}

bool is_openmpi() {
  const std::vector<std::string> libraries = libraries_of_processes();
  return std::ranges::any_of(libraries, [](const std::string& l) { return l.starts_with("Open"); });
}

}  // namespace

std::string find_launcher() {
  const char* path = std::getenv("PATH");
  // Debian has the launchers of both under names of their own.
  const std::vector<std::string> names =
      is_openmpi() ? std::vector<std::string>{"mpirun.openmpi", "mpirun"}
                   : std::vector<std::string>{"mpiexec.mpich", "mpiexec.hydra", "mpiexec"};
  for (const std::string& name : names)
    for (const std::string& folder : split_text(path ? path : "", ':'))
      if (const fs::path file = fs::path(folder) / name; ::access(file.c_str(), X_OK) == 0)
        return file.string();
  return {};
}

void launch_processes(int64_t count, char** argv) {
  if (libraries_of_processes().empty())
    throw UsageError(fmt::format(
        "processes: {} need MPI, which this build has none of; install libopenmpi-dev and "
        "openmpi-bin (or libmpich-dev and mpich) and build again",
        count));
  const std::string launcher = find_launcher();
  if (launcher.empty())
    throw UsageError(
        fmt::format("processes: {} need mpirun, which is not in PATH; install openmpi-bin (or "
                    "mpich)",
                    count));
  if (!std::getenv("OMP_NUM_THREADS"))
    ::setenv("OMP_NUM_THREADS",
             std::to_string(std::max<int64_t>(1, thread_count() / count)).c_str(), 1);
  std::vector<std::string> words = {launcher, "-n", std::to_string(count)};
  if (is_openmpi()) {
    // Time to save between a request to end and the end; and no complaints of containers, which
    // forbid one process to read another's memory.
    ::setenv("OMPI_MCA_odls_base_sigkill_timeout", "60", 0);
    ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
    words.insert(words.end(), {"--oversubscribe", "--bind-to", "none", "--quiet"});
    if (::geteuid() == 0) words.emplace_back("--allow-run-as-root");
  }
  words.push_back(fs::read_symlink("/proc/self/exe").string());
  for (char** word = argv + 1; *word; ++word) words.emplace_back(*word);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execv(launcher.c_str(), pointers.data());
  throw Error(fmt::format("{}: can not be started: {}", launcher, std::strerror(errno)));
}

std::string share_threads() {
  const int here = processes_here();
  if (here == 1 || std::getenv("OMP_NUM_THREADS")) return {};
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const bool known = ::sched_getaffinity(0, sizeof allowed, &allowed) == 0;
  if (known && CPU_COUNT(&allowed) < ::sysconf(_SC_NPROCESSORS_ONLN))
    return fmt::format(
        "the launcher has bound each process to {} of {}; mpirun --bind-to none "
        "leaves them free",
        CPU_COUNT(&allowed), counted(::sysconf(_SC_NPROCESSORS_ONLN), "logical processor"));
  set_thread_count(std::max(1, thread_count() / here));
  return {};
}

void check_processes_agree(const RunConfig& config) {
  if (process_count() == 1) return;
  const std::vector<std::string> own = facts_of(config);
  std::string text = join(own, "\n");
  broadcast(text);
  const std::vector<std::string> first = split_text(text, '\n');
  std::string differs;
  for (size_t i = 0; i < std::min(own.size(), first.size()) && differs.empty(); ++i)
    if (own[i] != first[i]) differs = fmt::format("{}, in rank 0: {}", own[i], first[i]);
  if (own.size() != first.size() && differs.empty()) differs = "its settings are others";
  if (!differs.empty())
    throw UsageError(fmt::format("{} differs: {}", process_name(process_rank()), differs));
  largest_of_processes(0);
}

}  // namespace passband
