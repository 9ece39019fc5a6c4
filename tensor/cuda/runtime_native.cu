// runtime.h on a GPU: each function is one call of the CUDA runtime, its failure an exception.
#include <map>
#include <utility>

#include "tensor/cuda/device.cuh"
#include "tensor/cuda/device_trouble.h"
#include "tensor/cuda/stream.h"

namespace passband::cuda {

namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // a failure that has been reported must not come up again in the next call
  throw Error(with_scope(concat_text(what, ": ", cudaGetErrorString(error))));
}

cudaMemcpyKind native(Copy direction) {
  switch (direction) {
    case Copy::to_device: return cudaMemcpyHostToDevice;
    case Copy::to_host: return cudaMemcpyDeviceToHost;
    case Copy::on_device: return cudaMemcpyDeviceToDevice;
  }
  return cudaMemcpyDefault;
}

// While a graph is recorded the driver refuses whatever might wait for other streams. Memory may
// come and go all the same: it is no part of the recording.
class NoPartOfRecording {
 public:
  NoPartOfRecording() { exchange(); }
  ~NoPartOfRecording() { exchange(); }
  NoPartOfRecording(const NoPartOfRecording&) = delete;
  NoPartOfRecording& operator=(const NoPartOfRecording&) = delete;

 private:
  void exchange() { static_cast<void>(cudaThreadExchangeStreamCaptureMode(&mode_)); }
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

bool finished(cudaError_t state, const char* what) {
  if (state == cudaErrorNotReady) return false;
  check(state, what);
  return true;
}

}  // namespace

// Whatever is wrong with the driver, programs run on the CPU, and --doctor says what it is.
int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

std::string device_trouble() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  return error == cudaSuccess ? "" : cudaGetErrorString(error);
}

DeviceInfo device_info(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "device_info");
  return {properties.name,
          properties.major,
          properties.minor,
          properties.multiProcessorCount,
          properties.totalGlobalMem,
          properties.sharedMemPerBlockOptin,
          false};
}

__global__ void probe_kernel() {}

bool has_code_for(int device) {
  int before = 0;
  check(cudaGetDevice(&before), "has_code_for");
  cudaFuncAttributes attributes{};
  const bool found = cudaSetDevice(device) == cudaSuccess &&
                     cudaFuncGetAttributes(&attributes, probe_kernel) == cudaSuccess;
  cudaGetLastError();
  check(cudaSetDevice(before), "has_code_for");
  return found;
}

bool has_warpgroup_products() {
#if defined(PASSBAND_HAS_SM90A)
  int device = 0, major = 0, minor = 0;
  check(cudaGetDevice(&device), "has_warpgroup_products");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "has_warpgroup_products");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
        "has_warpgroup_products");
  return major == 9 && minor == 0;
#else
  return false;
#endif
}

void set_device(int device) { check(cudaSetDevice(device), "set_device"); }

MemoryInfo memory_info() {
  MemoryInfo info;
  check(cudaMemGetInfo(&info.free_bytes, &info.total_bytes), "memory_info");
  return info;
}

void* device_malloc(size_t bytes, CallSite) {
  if (bytes == 0) return nullptr;
  const NoPartOfRecording relaxed;
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    const MemoryInfo info = memory_info();
    throw OutOfMemory(with_scope(concat_text("out of device memory: ", bytes, " bytes asked for, ",
                                             info.free_bytes, " of ", info.total_bytes, " free")));
  }
  check(error, "device_malloc");
  return memory;
}

// Frees come from destructors, also while the process ends and the driver is gone: no exception,
// nothing to report.
void device_free(void* memory) {
  const NoPartOfRecording relaxed;
  static_cast<void>(cudaFree(memory));
}

void* pinned_malloc(size_t bytes) {
  const NoPartOfRecording relaxed;
  void* memory = nullptr;
  if (cudaMallocHost(&memory, bytes) == cudaSuccess) return memory;
  cudaGetLastError();
  throw OutOfMemory(with_scope(
      concat_text("out of host memory that can be pinned: ", bytes, " bytes asked for")));
}

void pinned_free(void* memory) { static_cast<void>(cudaFreeHost(memory)); }

void copy_async(void* destination, const void* source, size_t bytes, Copy direction,
                StreamHandle stream, CallSite) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(destination, source, bytes, native(direction), stream), "copy");
}

void copy(void* destination, const void* source, size_t bytes, Copy direction, StreamHandle stream,
          CallSite site) {
  copy_async(destination, source, bytes, direction, stream, site);
  synchronize(stream);
}

void fill_async(void* memory, int value, size_t bytes, StreamHandle stream, CallSite) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(memory, value, bytes, stream), "fill");
}

void host_call_async(std::function<void()> work, StreamHandle stream) {
  auto owned = std::make_unique<std::function<void()>>(std::move(work));
  const auto call = [](void* argument) {
    const std::unique_ptr<std::function<void()>> function(
        static_cast<std::function<void()>*>(argument));
    (*function)();
  };
  check(cudaLaunchHostFunc(stream, call, owned.get()), "host_call");
  owned.release();  // the call deletes it
}

void synchronize(StreamHandle stream) { check(cudaStreamSynchronize(stream), "synchronize"); }
void synchronize_device() { check(cudaDeviceSynchronize(), "synchronize_device"); }
void check_launches(const char* what) { check(cudaGetLastError(), what); }

void grant_shared_memory(const void* kernel, size_t bytes, const CallSite& site) {
  // kernels are launched by one thread
  static std::map<std::pair<int, const void*>, size_t> granted;
  size_t& now = granted[{device_in_use(), kernel}];
  if (bytes <= now) return;
  cudaFuncAttributes attributes{};
  check(cudaFuncGetAttributes(&attributes, kernel), "shared memory of a kernel");
  PASSBAND_CHECK(bytes + attributes.sharedSizeBytes <= shared_memory_limit(), "a kernel needs ",
                 bytes + attributes.sharedSizeBytes, " bytes of shared memory a block, and ",
                 device_info(device_in_use()).name, " has ", shared_memory_limit(),
                 ": smaller heads, depths or kernels fit; at ", site.file_name(), ":", site.line());
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "shared memory of a kernel");
  now = bytes;
}

Stream::Stream() { check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "Stream"); }
Stream::~Stream() { static_cast<void>(cudaStreamDestroy(handle_)); }
bool Stream::finished() const {
  return cuda::finished(cudaStreamQuery(handle_), "Stream::finished");
}

struct Event::Impl {
  cudaEvent_t event = nullptr;
};

void Stream::wait(const Event& event) const {
  check(cudaStreamWaitEvent(handle_, event.impl().event, 0), "Stream::wait");
}

Event::Event() : impl_(std::make_unique<Impl>()) { check(cudaEventCreate(&impl_->event), "Event"); }
Event::~Event() { static_cast<void>(cudaEventDestroy(impl_->event)); }
void Event::record(StreamHandle stream) {
  check(cudaEventRecord(impl_->event, stream), "Event::record");
}
void Event::synchronize() const { check(cudaEventSynchronize(impl_->event), "Event::synchronize"); }
// A kernel that failed fails every later call too.
void Event::wait_quietly() const noexcept { static_cast<void>(cudaEventSynchronize(impl_->event)); }
bool Event::finished() const {
  return cuda::finished(cudaEventQuery(impl_->event), "Event::finished");
}

float Event::milliseconds_since(const Event& start) const {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, start.impl_->event, impl_->event),
        "milliseconds_since");
  return milliseconds;
}

struct Graph::Impl {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;

  void reset() {
    if (executable) static_cast<void>(cudaGraphExecDestroy(executable));
    if (graph) static_cast<void>(cudaGraphDestroy(graph));
    executable = nullptr;
    graph = nullptr;
  }
};

Graph::Graph() : impl_(std::make_unique<Impl>()) {}
Graph::~Graph() { impl_->reset(); }

void Graph::record(StreamHandle stream, const std::function<void()>& work) {
  impl_->reset();
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "Graph::record");
  try {
    work();
  } catch (...) {  // the stream must not stay in capture mode
    static_cast<void>(cudaStreamEndCapture(stream, &impl_->graph));
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(stream, &impl_->graph), "Graph::record");
  check(cudaGraphInstantiate(&impl_->executable, impl_->graph, 0), "Graph::record");
}

void Graph::launch(StreamHandle stream) const {
  if (!impl_->executable) throw Error(with_scope("Graph::launch: nothing was recorded"));
  check(cudaGraphLaunch(impl_->executable, stream), "Graph::launch");
}

}  // namespace passband::cuda
