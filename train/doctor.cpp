// Looks at processor, driver, GPU, libraries and data.
#include "train/doctor.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "tensor/core/collective.h"
#include "tensor/core/cpu_quota.h"
#include "tensor/core/device_sums.h"
#include "tensor/core/parallel.h"
#include "tensor/core/process_launch.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"
#include "tensor/cpu/level.h"
#include "tensor/cpu/onednn_engine.h"
#include "tensor/device_choice.h"
#include "train/say.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

// The first line of a file that starts with `key`, without the key; empty when there is none.
std::string line_after(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key))
      return line.substr(std::min(line.size(), line.find_first_not_of(" \t:", key.size())));
  return {};
}

#if defined(__x86_64__)
constexpr bool kX86 = true;
#else
constexpr bool kX86 = false;
#endif

// The level of the machine first, then what is made of it.
Finding instructions() {
  using cpu::Level;
  const Level highest = cpu::highest_level(), used = cpu::level();
  Finding finding{"instructions", std::string(name_of(highest)), ""};
  if (used != highest)
    finding.found += fmt::format(", but kernels run at {} (PASSBAND_ISA)", name_of(used));
  if (used == Level::amx)
    finding.found += "; f32 products on the matrix unit (PASSBAND_ISA=avx512: without)";
  if (kX86 && highest == Level::generic) finding.advice = "expect slow training: no AVX2";
  return finding;
}

Finding threads() {
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  Finding finding{"threads",
                  fmt::format("{} used of {} (--threads)", thread_count(),
                              counted(online, "logical processor")),
                  ""};
  if (const auto quota = cpu_quota())
    finding.found += fmt::format("; this container may use {:g}", *quota);
  if (const char* limit = std::getenv("OMP_NUM_THREADS"))
    finding.found += fmt::format("; OMP_NUM_THREADS={} is set", limit);
  return finding;
}

Finding memory() {
  const auto gib = [](const char* key) {
    return std::strtod(line_after("/proc/meminfo", key).c_str(), nullptr) / (1 << 20);
  };
  const double free = gib("MemAvailable");
  return {"memory", fmt::format("{:.1f} GiB, {:.1f} available", gib("MemTotal"), free),
          free < 2 ? "less than 2 GiB is free: use a small --batch-size" : ""};
}

// Vendor 0x10de is NVIDIA, class 0x03.... a display or compute card.
bool has_nvidia_card() {
  std::error_code code;
  for (const fs::directory_entry& card : fs::directory_iterator("/sys/bus/pci/devices", code))
    if (line_after(card.path() / "vendor", "0x") == "10de" &&
        line_after(card.path() / "class", "0x").starts_with("03"))
      return true;
  for (const fs::directory_entry& node : fs::directory_iterator("/dev", code)) {
    const std::string name = node.path().filename();
    if (name.size() > 6 && name.starts_with("nvidia") &&
        std::isdigit(static_cast<unsigned char>(name[6])))
      return true;
  }
  return false;
}

bool is_loadable(const char* library) {
  void* const handle = dlopen(library, RTLD_LAZY);
  if (handle) dlclose(handle);
  return handle != nullptr;
}

Finding driver(bool card) {
  const std::string version = line_after("/proc/driver/nvidia/version", "NVRM version");
  if (!version.empty()) return {"driver", version, ""};
  if (is_loadable("libcuda.so.1"))
    return {"driver", "libcuda.so.1 is there, no kernel module is loaded", ""};
  return {"driver", "none", card ? "install NVIDIA's driver (550 or later for CUDA 12.4)" : ""};
}

Finding backend(bool card) {
  switch (cuda_backend()) {
    case CudaBackend::native: return {"CUDA build", "kernels for " + cuda_architectures(), ""};
    case CudaBackend::emulated:
      return {"CUDA build", "kernels on the emulator (--device cuda-emulated)", ""};
    case CudaBackend::none: break;
  }
  return {"CUDA build", "none: this program computes on the processor",
          card ? "build for the GPU: cmake --preset cuda && cmake --build build"
               : "nothing; the CUDA kernels run here too, slowly: --device cuda-emulated"};
}

// ": --device cuda:0: ... the driver says: ...", of a native build.
std::string why_no_device() {
  try {
    choose_device("cuda");
    return "";
  } catch (const UsageError& error) {
    return std::string(": ") + error.what();
  }
}

std::vector<Finding> devices(bool card) {
  std::vector<Finding> findings;
  for (int i = 0; i < cuda_device_count(); ++i)
    findings.push_back(
        {fmt::format("cuda:{}", i), device_facts({DeviceType::cuda, static_cast<int8_t>(i)}), ""});
  if (!findings.empty()) return findings;
  const bool built = cuda_backend() == CudaBackend::native;
  if (!card)
    return {{"GPU", "none",
             built ? "this program has kernels for one, and computes on the processor here "
                     "(--device cpu); in a "
                     "container or virtual machine, hand the GPU through (--gpus all)"
                   : ""}};
  return {{"GPU",
           built ? "none for this program" + why_no_device() : "there, but not used by this build",
           built ? "check nvidia-smi, CUDA_VISIBLE_DEVICES and the container's --gpus" : ""}};
}

Finding compiler(bool card) {
  std::vector<fs::path> places;
  if (const char* home = std::getenv("CUDA_PATH")) places.push_back(fs::path(home) / "bin/nvcc");
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split_text(path ? path : "", ':'))
    places.push_back(fs::path(folder) / "nvcc");
  places.emplace_back("/usr/local/cuda/bin/nvcc");
  for (const fs::path& place : places)
    if (fs::exists(place)) return {"nvcc", place.string(), ""};
  return {"nvcc", "none",
          card ? "install the CUDA toolkit 12.4 or later, then: cmake --preset cuda" : ""};
}

Finding libraries() {
  const std::string version = cpu::onednn_version();
  std::string text = version.empty() ? "no oneDNN" : "oneDNN " + version;
  for (const std::string& library : cuda_libraries()) text += ", " + library;
  return {"libraries", text, ""};
}

Finding processes() {
  const std::vector<std::string> libraries = libraries_of_processes();
  if (libraries.empty())
    return {
        "several processes", "no MPI in this build: one process trains",
        "for --processes, mpirun and srun: apt install libopenmpi-dev openmpi-bin, build again"};
  std::string reason, text = join(libraries);
  if (const DeviceSumsModule* nccl = nccl_module(reason))
    text += fmt::format(", {}", nccl->library());
  const std::string launcher = find_launcher();
  return {"several processes",
          fmt::format("{}, {}", text, launcher.empty() ? "no mpirun in PATH" : launcher),
          launcher.empty() ? "for --processes: apt install openmpi-bin" : ""};
}

std::vector<Finding> data_sets() {
  std::vector<Finding> findings;
  for (const DatasetInfo& info : list_datasets()) {
    if (info.form == DataForm::drawn || info.form == DataForm::described) continue;
    try {
      findings.push_back({info.name, find_dataset(info.name).string(), ""});
    } catch (const DataError& error) {
      const std::string text = error.what();
      const size_t remedy = text.find("get it with ");
      findings.push_back(
          {info.name, "not found", remedy == std::string::npos ? text : text.substr(remedy)});
    }
  }
  return findings;
}

}  // namespace

std::string processor_name() {
  const std::string name = line_after("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

std::vector<Finding> examine() {
  const bool card = has_nvidia_card();
  std::vector<Finding> findings = {{"processor", processor_name(), ""},
                                   instructions(),
                                   threads(),
                                   memory(),
                                   libraries(),
                                   processes(),
                                   driver(card),
                                   compiler(card),
                                   backend(card)};
  for (const auto& group : {devices(card), data_sets()})
    findings.insert(findings.end(), group.begin(), group.end());
  const Device chosen = choose_device("auto");
  findings.push_back({"--device auto", describe_device(chosen), ""});
  findings.push_back({"--precision auto",
                      multiplies_bf16(chosen) ? "bf16 (f32 for batches below 16)" : "f32", ""});
  return findings;
}

void print_examination(const std::vector<Finding>& findings, bool json) {
  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Finding& f : findings)
      list.push_back({{"topic", f.topic}, {"found", f.found}, {"advice", f.advice}});
    fmt::print("{}\n", list.dump(2));
    return;
  }
  for (const Finding& f : findings) {
    fmt::print("{:<18}{}\n", f.topic, f.found);
    if (!f.advice.empty()) fmt::print("{:<18}-> {}\n", "", f.advice);
  }
}

}  // namespace passband
