// tensor/cuda/runtime.h without a GPU. Streams are queues: executed at once, or, with
// Options::deferred_streams, when somebody waits, in an order across streams drawn from the seed,
// as if each took its own time.
#include "tensor/cuda/runtime.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "tensor/cuda/device_trouble.h"
#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {
namespace {

struct EventState {
  uint64_t issued = 0, completed = 0;  // records
  std::chrono::steady_clock::time_point time;
  // Of the last record: the stream, where it was being recorded, and how much that had been given.
  CUstream_st* recorded = nullptr;
  uint64_t given = 0;
};

struct Operation {
  std::function<void()> run;
  std::shared_ptr<EventState> awaited = nullptr;  // runs only after this many records
  uint64_t record = 0;
  bool ready() const { return !awaited || awaited->completed >= record; }
};

}  // namespace
}  // namespace passband::emulator

struct CUstream_st {
  std::deque<passband::emulator::Operation> queue;
  std::vector<passband::emulator::Operation>* recording = nullptr;
  // While it is recorded: what it was given, and how much of that another stream waits for.
  uint64_t given = 0, awaited = 0;
};

namespace passband::emulator {
namespace {

struct Runtime {
  std::recursive_mutex mutex;
  CUstream_st default_stream;
  std::vector<CUstream_st*> streams{&default_stream};
  std::map<const char*, size_t> pinned;
  int recordings = 0;
  std::vector<CUstream_st*> joined;  // the recording, by waiting for an event of it
  std::exception_ptr unreported;     // a fault that came up where nothing may be thrown
  uint64_t random_state = 88172645463325252ull;
};

// Never destroyed: tensors with static lifetime may outlive any order of destruction.
Runtime& runtime() {
  static Runtime* const instance = new Runtime;
  return *instance;
}

CUstream_st& stream_of(cuda::StreamHandle handle) {
  return handle ? *handle : runtime().default_stream;
}

void must_not_record(const char* operation) {
  if (runtime().recordings)
    throw Fault(with_scope(std::string(operation) + ": not while a graph is being recorded"));
}

// As on a GPU, nothing that was queued after a fault is done.
void drop_all_work() {
  for (CUstream_st* each : runtime().streams) each->queue.clear();
}

void run_first(CUstream_st& stream) {
  const Operation operation = std::move(stream.queue.front());
  stream.queue.pop_front();
  try {
    operation.run();
  } catch (...) {
    drop_all_work();
    throw;
  }
}

CUstream_st& choose_stream(CUstream_st& wanted) {
  std::vector<CUstream_st*> ready;
  for (CUstream_st* stream : runtime().streams)
    if (!stream->queue.empty() && stream->queue.front().ready()) ready.push_back(stream);
  if (ready.empty()) {  // what was dropped may be an event that somebody waits for
    drop_all_work();
    throw Fault(with_scope("stream: waits for an event whose work was dropped after a fault"));
  }
  if (!options().deferred_streams && !wanted.queue.empty() && wanted.queue.front().ready())
    return wanted;
  uint64_t& x = runtime().random_state;
  x = (x + options().seed) * 6364136223846793005ull + 1442695040888963407ull;
  return *ready[(x >> 33) % ready.size()];
}

// Runs other streams' work too, in between and where this one waits for it.
void drain(CUstream_st& stream) {
  while (!stream.queue.empty()) run_first(choose_stream(stream));
}

void drain_all() {
  for (CUstream_st* stream : runtime().streams) drain(*stream);
}

void throw_unreported() {
  if (runtime().unreported) std::rethrow_exception(std::exchange(runtime().unreported, nullptr));
}

// For destructors and frees: a fault is kept for the next call that may throw.
template <class F> void keep_fault(F&& f) {
  try {
    f();
  } catch (...) {
    runtime().unreported = std::current_exception();
  }
}

void submit(cuda::StreamHandle handle, Operation operation) {
  CUstream_st& stream = stream_of(handle);
  if (stream.recording) {
    ++stream.given;
    return stream.recording->push_back(std::move(operation));
  }
  stream.queue.push_back(std::move(operation));
  if (!options().deferred_streams) drain(stream);
}

bool is_pinned(const void* memory) {
  const auto& pinned = runtime().pinned;
  auto it = pinned.upper_bound(static_cast<const char*>(memory));
  return it != pinned.begin() && (--it, memory < it->first + it->second);
}

void check_host_range(const void* memory, const char* operation) {
  if (is_device(memory))
    throw Fault(with_scope(concat_text(operation, ": ", memory, " is not host memory")));
}

void check_copy(void* destination, const void* source, size_t bytes, cuda::Copy direction) {
  if (direction == cuda::Copy::to_host) check_host_range(destination, "copy to host");
  else check_device_range(destination, bytes, "copy to device");
  if (direction == cuda::Copy::to_device) check_host_range(source, "copy to device");
  else check_device_range(source, bytes, "copy from device");
}

// A recorded copy comes to its host memory again in every launch, when what a function had there is
// long gone.
void check_recorded_copy(cuda::StreamHandle stream, const void* host, cuda::Copy direction) {
  if (stream_of(stream).recording && direction != cuda::Copy::on_device && !is_pinned(host))
    throw Fault(with_scope("copy: a recorded one needs pinned memory on the host"));
}

}  // namespace

void enqueue_kernel(std::shared_ptr<const KernelCall> call, dim3 grid, dim3 block,
                    size_t shared_bytes, void* stream, Location site) {
  const std::lock_guard lock(runtime().mutex);
  check_launch(*call, grid, block, shared_bytes, site);
  submit(static_cast<cuda::StreamHandle>(stream),
         {[=, call = std::move(call)] { run_grid(*call, grid, block, shared_bytes, site); }});
}

void enqueue_library_call(void* stream, std::function<void()> call) {
  const std::lock_guard lock(runtime().mutex);
  submit(static_cast<cuda::StreamHandle>(stream), {[call = std::move(call)] {
           const DeviceAccess access;
           call();
         }});
}

void check_no_leaks() {
  cuda::synchronize_device();
  const std::vector<std::string> left = live_allocations();
  if (left.empty()) return;
  std::string text = concat_text("device memory leak: ", left.size(), " allocations: ");
  for (size_t i = 0; i < left.size() && i < 10; ++i) text += (i ? "; " : "") + left[i];
  throw Fault(text + (left.size() > 10 ? "; ..." : ""));
}

}  // namespace passband::emulator

namespace passband::cuda {

using emulator::runtime;
using Lock = std::lock_guard<std::recursive_mutex>;

int device_count() { return 1; }
std::string device_trouble() { return ""; }

DeviceInfo device_info(int device) {
  CHECK(device == 0, "device_info: there is one emulated device, not ", device);
  const emulator::Options& options = emulator::options();
  return {"CUDA emulator", 9, 0, 1, options.device_bytes, options.shared_limit, true};
}

bool has_code_for(int device) { return device == 0; }

// A device with the shared memory of smaller ones has not their successors' instructions either.
bool has_warpgroup_products() { return emulator::options().shared_limit >= size_t{227} << 10; }

void set_device(int device) {
  CHECK(device == 0, "set_device: there is one emulated device, not ", device);
}

MemoryInfo memory_info() {
  const size_t total = emulator::options().device_bytes;
  return {total - emulator::statistics().live_bytes, total};
}

void* device_malloc(size_t bytes, CallSite site) {
  const Lock lock(runtime().mutex);
  emulator::must_not_record("device_malloc");
  return emulator::allocate(bytes, site);
}

void device_free(void* memory) {
  const Lock lock(runtime().mutex);
  emulator::must_not_record("device_free");
  emulator::keep_fault([] { emulator::drain_all(); });
  emulator::release(memory);
}

void* pinned_malloc(size_t bytes) {
  const Lock lock(runtime().mutex);
  void* memory = std::malloc(bytes);
  if (!memory && bytes)
    throw OutOfMemory(concat_text("out of host memory: ", bytes, " bytes asked for"));
  runtime().pinned[static_cast<const char*>(memory)] = bytes;
  return memory;
}

void pinned_free(void* memory) {
  const Lock lock(runtime().mutex);
  emulator::keep_fault([] { emulator::drain_all(); });
  runtime().pinned.erase(static_cast<const char*>(memory));
  std::free(memory);
}

void copy_async(void* destination, const void* source, size_t bytes, Copy direction,
                StreamHandle stream, CallSite) {
  if (bytes == 0) return;
  const Lock lock(runtime().mutex);
  emulator::check_copy(destination, source, bytes, direction);
  emulator::check_recorded_copy(stream, direction == Copy::to_host ? destination : source,
                                direction);
  const bool deferred =
      emulator::options().deferred_streams && !emulator::stream_of(stream).recording;
  // What the host must not look at yet holds no sense yet.
  if (deferred && direction == Copy::to_host) memset(destination, 0xFF, bytes);
  // A GPU reads pageable memory before the call returns, and pinned memory when the stream gets
  // there.
  std::shared_ptr<std::vector<char>> staged;
  if (deferred && direction == Copy::to_device && !emulator::is_pinned(source)) {
    const auto* begin = static_cast<const char*>(source);
    staged = std::make_shared<std::vector<char>>(begin, begin + bytes);
  }
  emulator::submit(stream, {[=] {
                     emulator::check_copy(destination, source, bytes, direction);
                     const emulator::DeviceAccess access;
                     ++emulator::machine.statistics.copies;
                     memmove(destination, staged ? staged->data() : source, bytes);
                     if (direction != Copy::to_host) emulator::mark_written(destination, bytes);
                   }});
}

void copy(void* destination, const void* source, size_t bytes, Copy direction, StreamHandle stream,
          CallSite site) {
  copy_async(destination, source, bytes, direction, stream, site);
  synchronize(stream);
}

void fill_async(void* memory, int value, size_t bytes, StreamHandle stream, CallSite) {
  if (bytes == 0) return;
  const Lock lock(runtime().mutex);
  emulator::check_device_range(memory, bytes, "fill");
  emulator::submit(stream, {[=] {
                     emulator::check_device_range(memory, bytes, "fill");
                     const emulator::DeviceAccess access;
                     ++emulator::machine.statistics.copies;
                     memset(memory, value, bytes);
                     emulator::mark_written(memory, bytes);
                   }});
}

void host_call_async(std::function<void()> work, StreamHandle stream) {
  const Lock lock(runtime().mutex);
  emulator::submit(stream, {std::move(work)});
}

void synchronize(StreamHandle stream) {
  const Lock lock(runtime().mutex);
  emulator::must_not_record("synchronize");
  emulator::drain(emulator::stream_of(stream));
  emulator::throw_unreported();
}

void synchronize_device() {
  const Lock lock(runtime().mutex);
  emulator::must_not_record("synchronize_device");
  emulator::drain_all();
  emulator::throw_unreported();
}

void check_launches(const char*) {
  const Lock lock(runtime().mutex);
  emulator::throw_unreported();
}

Stream::Stream() : handle_(new CUstream_st) {
  const Lock lock(runtime().mutex);
  runtime().streams.push_back(handle_);
}

Stream::~Stream() {
  const Lock lock(runtime().mutex);
  emulator::keep_fault([&] { emulator::drain(*handle_); });
  std::erase(runtime().streams, handle_);
  delete handle_;
}

bool Stream::finished() const {
  const Lock lock(runtime().mutex);
  if (!handle_->queue.empty()) emulator::run_first(emulator::choose_stream(*handle_));
  return handle_->queue.empty();
}

struct Event::Impl {
  std::shared_ptr<emulator::EventState> state = std::make_shared<emulator::EventState>();
  StreamHandle stream = nullptr;
};

void Stream::wait(const Event& event) const {
  const Lock lock(runtime().mutex);
  const auto& state = event.impl().state;
  if (CUstream_st* const from = state->recorded; from && from->recording) {
    if (!handle_->recording) {
      handle_->recording = from->recording;
      runtime().joined.push_back(handle_);
    }
    from->awaited = std::max(from->awaited, state->given);
  }
  emulator::submit(handle_, {[] {}, state, state->issued});
}

Event::Event() : impl_(std::make_unique<Impl>()) {}
Event::~Event() = default;

void Event::record(StreamHandle stream) {
  const Lock lock(runtime().mutex);
  impl_->stream = stream;
  auto& state = impl_->state;
  const uint64_t record = ++state->issued;
  emulator::submit(stream, {[state, record] {
                     state->completed = std::max(state->completed, record);
                     state->time = std::chrono::steady_clock::now();
                   }});
  CUstream_st& of = emulator::stream_of(stream);
  state->recorded = of.recording ? &of : nullptr;
  state->given = of.given;
}

void Event::synchronize() const {
  const Lock lock(runtime().mutex);
  emulator::must_not_record("Event::synchronize");
  CUstream_st& stream = emulator::stream_of(impl_->stream);
  while (!finished()) emulator::run_first(emulator::choose_stream(stream));
  emulator::throw_unreported();
}

void Event::wait_quietly() const noexcept {
  emulator::keep_fault([&] { synchronize(); });
}

bool Event::finished() const { return impl_->state->completed >= impl_->state->issued; }

float Event::milliseconds_since(const Event& start) const {
  CHECK(finished() && start.finished() && impl_->state->issued && start.impl_->state->issued,
        "milliseconds_since: both events must have been recorded and have finished");
  return std::chrono::duration<float, std::milli>(impl_->state->time - start.impl_->state->time)
      .count();
}

struct Graph::Impl {
  std::vector<emulator::Operation> operations;
};

Graph::Graph() : impl_(std::make_unique<Impl>()) {}
Graph::~Graph() = default;

void Graph::record(StreamHandle stream, const std::function<void()>& work) {
  const Lock lock(runtime().mutex);
  struct Recording {
    CUstream_st& stream;
    Recording(CUstream_st& recorded, Impl& graph) : stream(recorded) {
      CHECK(!stream.recording, "Graph::record: the stream is being recorded already");
      graph.operations.clear();
      stream.recording = &graph.operations;
      ++runtime().recordings;
    }
    ~Recording() {
      for (CUstream_st* each : runtime().joined) end(*each);
      runtime().joined.clear();
      end(stream);
      --runtime().recordings;
    }
    static void end(CUstream_st& each) {
      each.recording = nullptr;
      each.given = each.awaited = 0;
    }
  } const recording(emulator::stream_of(stream), *impl_);
  work();
  for (const CUstream_st* each : runtime().joined)
    if (each->awaited < each->given)
      throw emulator::Fault(
          with_scope("Graph::record: a stream that joined the recording was given work that the "
                     "recorded stream does not wait for"));
}

void Graph::launch(StreamHandle stream) const {
  const Lock lock(runtime().mutex);
  for (const emulator::Operation& operation : impl_->operations)
    emulator::submit(stream, operation);
}

}  // namespace passband::cuda
