// The devices that this program can compute on, and the choice of one by name.
#pragma once
#include <string>
#include <vector>

#include "tensor/core/device.h"
#include "tensor/core/kernel_source.h"

namespace passband {

enum class CudaBackend : uint8_t { none, emulated, native };
// What this program was linked with.
CudaBackend cuda_backend();
// "sm_80, sm_90 and PTX": what the kernels were compiled for; empty without a native backend.
std::string cuda_architectures();
// NVIDIA's libraries that a native backend was built with: "cuBLASLt", "cuFFT" and, where it was
// there, "cuDNN 9.19.0".
std::vector<std::string> cuda_libraries();
// Devices of the backend: 0 without one, or without a driver or a GPU.
int cuda_device_count();
// This program holds kernels that GPU `index` can run.
bool cuda_has_code_for(int index);

// "auto", "cpu", "cuda", "cuda:1" or "cuda-emulated"; makes the device the one in use. `auto` is
// the first GPU if this program can use one; of several processes on a host each takes its own.
// Throws UsageError that says how to get what is missing.
Device choose_device(const std::string& name);
// "NVIDIA H200 (cuda:0)", "CUDA emulator", "cpu".
std::string describe_device(Device device);
// Name, compute capability and memory: "NVIDIA H200, sm_90, 139.8 GiB".
std::string device_facts(Device device);
// Whether bf16 is multiplied natively there; the emulator answers for the processor.
bool multiplies_bf16(Device device);
// `wanted` on a GPU; native on the emulator, where plain loops stand in for the vendor's libraries.
// Throws UsageError where oneDNN is wanted on a GPU, or of a build without it.
KernelSource kernel_source_here(KernelSource wanted, Device device);
// Bytes that a CUDA device has left for this program.
int64_t free_memory(Device device);
// Waits for the work given to a device.
void synchronize(Device device);

// Where the program for emulated devices lies beside `program` (a path): "train-emulated" beside
// "train".
std::string emulated_sibling(const std::string& program);
// Replaces this program by its emulated sibling, same arguments. In a build tree, a sibling that is
// missing or older than this program is built first, with progress on standard error. Throws
// UsageError when it can not be had.
[[noreturn]] void run_emulated_sibling(char** argv);

}  // namespace passband
