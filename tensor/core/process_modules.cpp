#include "tensor/core/process_modules.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "tensor/core/collective.h"
#include "tensor/core/launch_guard.h"
#include "tensor/core/program_module.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr std::array kModules = {"passband_openmpi.so", "passband_mpich.so"};

const char* environment(const char* name) { return std::getenv(name); }

long number_in(const char* name) {
  const char* text = environment(name);
  return text ? std::strtol(text, nullptr, 10) : 0;
}

// Open MPI's mpirun, MPICH's or Intel's, or srun with PMIx (Open MPI's) or PMI-2 (MPICH's).
bool started_by_openmpi() {
  return environment("OMPI_COMM_WORLD_SIZE") || environment("PMIX_RANK");
}
bool started_by_mpich() { return environment("PMI_RANK") != nullptr; }

template <class Function> Function symbol_of(void* module, const char* name) {
  return reinterpret_cast<Function>(dlsym(module, name));
}

// The plug-ins of an MPI look for its symbols among those of all.
void* load(const fs::path& file) { return dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL); }

CollectiveBackend* backend_of(const char* name, const char* launcher) {
  const fs::path file = find_program_module(name);
  void* const module = file.empty() ? nullptr : load(file);
  if (!module)
    throw UsageError(fmt::format(
        "{} has started this, but {}: {}", launcher,
        file.empty() ? "this build can not reach its other processes"
                     : fmt::format("{} does not load ({})", file.string(), dlerror()),
        "install its development package (libopenmpi-dev, libmpich-dev) and build again, or start "
        "it by itself"));
  try {
    return symbol_of<JoinFunction>(module, kJoinFunction)();
  } catch (const std::runtime_error& error) {
    throw UsageError(fmt::format("{} has started this, but {}", launcher, error.what()));
  }
}

}  // namespace

bool started_by_launcher() { return started_by_openmpi() || started_by_mpich(); }

CollectiveBackend* launched_backend() {
  if (started_by_openmpi()) return backend_of(kModules[0], "Open MPI");
  if (started_by_mpich()) {
    if (!environment("SLURM_STEP_ID")) leave_guard_behind();
    return backend_of(kModules[1], "MPICH");
  }
  if (number_in("SLURM_STEP_NUM_TASKS") > 1)
    throw UsageError(
        fmt::format("srun has started {} tasks that know nothing of each other: add --mpi=pmix "
                    "(Open MPI) or --mpi=pmi2 (MPICH)",
                    number_in("SLURM_STEP_NUM_TASKS")));
  return nullptr;
}

std::vector<std::string> libraries_of_processes() {
  std::vector<std::string> found;
  for (const char* name : kModules) {
    const fs::path file = find_program_module(name);
    void* const module = file.empty() ? nullptr : dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module) found.emplace_back(symbol_of<LibraryFunction>(module, kLibraryFunction)());
  }
  return found;
}

}  // namespace passband
