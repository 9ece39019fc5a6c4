// Devices by name, and the program that emulates one.
#include "tensor/device_choice.h"

#include <unistd.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "tensor/core/collective.h"
#include "tensor/cpu/level.h"
#include "tensor/cpu/onednn_engine.h"
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

// Processes of one host take its GPUs by their rank there.
int own_of_host(int gpus) {
  if (process_count() > 1 && gpus > 0 && processes_here() > gpus)
    throw UsageError(concat_text("device: ", processes_here(), " processes on a host with ", gpus,
                                 gpus == 1 ? " GPU" : " GPUs",
                                 "; start one for each, or add --device cpu"));
  return rank_here();
}

Device cuda_device(const std::string& name) {
  const int index = name == "cuda" ? own_of_host(cuda_device_count()) : index_of(name);
  if (cuda_backend() != CudaBackend::native)
    throw UsageError(
        "--device " + name + ": this program was built without CUDA; on a machine with a GPU: " +
        "cmake --preset cuda && cmake --build build. Without one, try --device cuda-emulated");
  return {DeviceType::cuda, static_cast<int8_t>(index)};
}

// The first GPU that this program has code for, of several processes each its own; else the CPU.
Device best_device() {
  if (cuda_backend() != CudaBackend::native) return {};
  std::vector<int> usable;
  for (int index = 0; index < cuda_device_count(); ++index)
    if (cuda_has_code_for(index)) usable.push_back(index);
  if (usable.empty()) return {};
  const auto own = static_cast<size_t>(own_of_host(static_cast<int>(usable.size())));
  return {DeviceType::cuda, static_cast<int8_t>(usable[own])};
}

Device device_named(const std::string& name) {
  if (name == "cpu") return {};
  if (name == "auto") return best_device();
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
  const std::string command =
      "cmake --build '" + folder.string() + "' --target " + target + " 1>&2";
  if (std::system(command.c_str()) != 0)
    throw UsageError("--device cuda-emulated: building " + target +
                     " failed; see above, then: " + command);
}

}  // namespace

#ifdef PASSBAND_HAS_CUDA
CudaBackend cuda_backend() {
  static const bool emulated = cuda::device_count() > 0 && cuda::device_info(0).emulated;
  return emulated ? CudaBackend::emulated : CudaBackend::native;
}

int cuda_device_count() { return cuda::device_count(); }
bool cuda_has_code_for(int index) { return cuda::has_code_for(index); }

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
  if (!device.is_cuda()) return device;
  cuda::use_device(device.index);
  if (cuda_has_code_for(device.index)) return device;
  const cuda::DeviceInfo info = cuda::device_info(device.index);
  throw UsageError(concat_text("--device ", name, ": ", info.name, " is sm_", info.major,
                               info.minor, ", and this program has code for ", cuda_architectures(),
                               ": configure with ", "-DCMAKE_CUDA_ARCHITECTURES=", info.major,
                               info.minor));
}
#else
CudaBackend cuda_backend() { return CudaBackend::none; }
int cuda_device_count() { return 0; }
bool cuda_has_code_for(int) { return false; }
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
  return cpu::level() >= cpu::Level::avx512_bf16;
}

KernelSource kernel_source_here(KernelSource wanted, Device device) {
  if (wanted == KernelSource::onednn) {
    if (device.is_cuda())
      throw UsageError("onednn computes on the processor: on " + device.str() +
                       " take native, library or auto");
    if (cpu::onednn_version().empty())
      throw UsageError(
          "onednn: this build has none; configure with -DPASSBAND_ONEDNN=ON (libdnnl-dev)");
    return wanted;
  }
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
