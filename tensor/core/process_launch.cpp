#include "tensor/core/process_launch.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "tensor/core/collective.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

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
    ::setenv("OMPI_MCA_odls_base_sigkill_timeout", "10", 0);
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

}  // namespace passband
