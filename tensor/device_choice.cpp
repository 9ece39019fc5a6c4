// Devices by name, and the program that emulates one.
#include "tensor/device_choice.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#ifdef PASSBAND_HAS_CUDA
#include "tensor/cuda/stream.h"
#endif

namespace passband {
namespace fs = std::filesystem;
namespace {

// n of "cuda:n".
int index_of(const std::string& name) {
  int index = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + 5, end, index);
  if (error != std::errc{} || stop != end || index < 0)
    throw UsageError("--device: '" + name + "' is not cuda:n with a number n");
  return index;
}

Device cuda_device(const std::string& name) {
  const int index = name == "cuda" ? 0 : index_of(name);
  if (cuda_backend() != CudaBackend::native)
    throw UsageError(
        "--device " + name + ": this program was built without CUDA; on a machine with a GPU: " +
        "cmake --preset cuda && cmake --build build. Without one, try --device cuda-emulated");
  return {DeviceType::cuda, static_cast<int8_t>(index)};
}

Device device_named(const std::string& name) {
  if (name == "cpu") return {};
  if (name == "auto") {
    const bool usable = cuda_backend() == CudaBackend::native && cuda_device_count() > 0;
    return usable ? Device{DeviceType::cuda, 0} : Device{};
  }
  if (name == "cuda" || name.starts_with("cuda:")) return cuda_device(name);
  if (name != "cuda-emulated")
    throw UsageError("--device: '" + name +
                     "' is not one of auto, cpu, cuda, cuda:n, cuda-emulated");
  if (cuda_backend() != CudaBackend::emulated)
    throw UsageError(
        "--device cuda-emulated: only the programs "
        "train-emulated, analyze-emulated and bench-emulated");
  return {DeviceType::cuda, 0};
}

// The build folder that a program was built in, empty when it is not in one.
fs::path build_folder(const fs::path& program) {
  const fs::path folder = program.parent_path();
  return fs::exists(folder / "CMakeCache.txt") ? folder : fs::path();
}

// Runs a program with these words, without a shell, its output on stderr. Returns whether it ended
// well.
bool run_program(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  return failed == 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

void build_sibling(const fs::path& program, const fs::path& sibling) {
  const fs::path folder = build_folder(program);
  const std::string target = sibling.filename().string();
  if (folder.empty())
    throw UsageError("--device cuda-emulated: " + sibling.string() +
                     " is missing; build the target " + target +
                     " of the project and put it there");
  std::cerr << program.filename().string() << ": building " << target << " in " << folder.string()
            << ": the tensor layer and its kernels for the emulator, some minutes, once"
            << std::endl;
  if (!run_program({"cmake", "--build", folder.string(), "--target", target}))
    throw UsageError("--device cuda-emulated: building " + target + " in " + folder.string() +
                     " with cmake --build failed; see above");
}

}  // namespace

#ifdef PASSBAND_HAS_CUDA
CudaBackend cuda_backend() {
  static const bool emulated = cuda::device_count() > 0 && cuda::device_info(0).emulated;
  return emulated ? CudaBackend::emulated : CudaBackend::native;
}

int cuda_device_count() { return cuda::device_count(); }

std::string describe_device(Device device) {
  if (!device.is_cuda()) return "cpu";
  const cuda::DeviceInfo info = cuda::device_info(device.index);
  return info.emulated ? "CUDA emulator" : info.name + " (" + device.str() + ")";
}

std::string device_facts(Device device) {
  const cuda::DeviceInfo info = cuda::device_info(device.index);
  const double gib = static_cast<double>(info.memory_bytes) / 0x1p30;
  return concat_text(info.name, ", sm_", info.major, info.minor, ", ", std::round(gib * 10) / 10,
                     " GiB, ", info.multiprocessors, " multiprocessors");
}

std::string cuda_architectures() {
#ifdef PASSBAND_CUDA_ARCHITECTURES
  return PASSBAND_CUDA_ARCHITECTURES;
#else
  return "";
#endif
}

std::vector<std::string> cuda_libraries() {
  std::vector<std::string> libraries;
  if (cuda_backend() == CudaBackend::native) libraries = {"cuBLASLt", "cuFFT"};
#ifdef PASSBAND_HAS_CUDNN
  libraries.emplace_back("cuDNN " PASSBAND_HAS_CUDNN);
#endif
  return libraries;
}

int64_t free_memory(Device) { return static_cast<int64_t>(cuda::memory_info().free_bytes); }

void synchronize(Device device) {
  if (device.is_cuda()) cuda::synchronize(cuda::compute_stream());
}

Device choose_device(const std::string& name) {
  const Device device = device_named(name);
  if (device.is_cuda()) cuda::use_device(device.index);
  return device;
}
#else
CudaBackend cuda_backend() { return CudaBackend::none; }
int cuda_device_count() { return 0; }
std::string describe_device(Device) { return "cpu"; }
std::string device_facts(Device) { return "cpu"; }
std::string cuda_architectures() { return ""; }
std::vector<std::string> cuda_libraries() { return {}; }
int64_t free_memory(Device) { return 0; }
void synchronize(Device) {}
Device choose_device(const std::string& name) { return device_named(name); }
#endif

bool multiplies_bf16(Device device) {
  if (device.is_cuda() && cuda_backend() == CudaBackend::native) return true;
  return __builtin_cpu_supports("avx512bf16");
}

KernelSource kernel_source_here(KernelSource wanted) {
  return cuda_backend() == CudaBackend::native ? wanted : KernelSource::native;
}

std::string emulated_sibling(const std::string& program) { return program + "-emulated"; }

void run_emulated_sibling(char** argv) {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  const fs::path sibling = emulated_sibling(program.string());
  const bool stale = fs::exists(sibling) && !build_folder(program).empty() &&
                     fs::last_write_time(sibling) < fs::last_write_time(program);
  if (!fs::exists(sibling) || stale) build_sibling(program, sibling);
  execv(sibling.c_str(), argv);
  throw UsageError("--device cuda-emulated: " + sibling.string() + " can not be started");
}

}  // namespace passband
