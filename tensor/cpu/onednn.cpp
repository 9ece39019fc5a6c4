// The engine, the plan cache and the packed weights.
#include "tensor/cpu/onednn.h"

#include "tensor/cpu/onednn_engine.h"

#include <omp.h>

#include <mutex>
#include <unordered_map>
#include <vector>

#include "tensor/cpu/level.h"

namespace passband::cpu::onednn {
namespace {

constexpr size_t kMostPlans = 4096;

// oneDNN makes and runs what it does for the threads that OpenMP offers to the calling one.
class OnOneThread {
 public:
  OnOneThread() { omp_set_num_threads(1); }
  ~OnOneThread() { omp_set_num_threads(before_); }
  OnOneThread(const OnOneThread&) = delete;
  OnOneThread& operator=(const OnOneThread&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

// oneDNN chooses its instructions itself: of those of the level in use.
void cap_instructions() {
#if defined(__x86_64__)
  using dnnl::cpu_isa;
  if (!level_is_capped()) return;
  switch (level()) {
    case Level::generic: return static_cast<void>(dnnl::set_max_cpu_isa(cpu_isa::sse41));
    case Level::avx2: return static_cast<void>(dnnl::set_max_cpu_isa(cpu_isa::avx2));
    case Level::avx512: return static_cast<void>(dnnl::set_max_cpu_isa(cpu_isa::avx512_core));
    case Level::avx512_bf16:
      return static_cast<void>(dnnl::set_max_cpu_isa(cpu_isa::avx512_core_bf16));
    case Level::amx: break;
  }
#endif
}

dnnl::stream& stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

[[noreturn]] void rethrow(const char* operation, const dnnl::error& error) {
  if (error.status == dnnl_out_of_memory)
    throw OutOfMemory(
        with_scope(concat_text(operation, ": out of memory; use a smaller --batch-size")));
  throw Error(with_scope(concat_text(operation, ": oneDNN refused: ", error.message)));
}

struct KeyHash {
  size_t operator()(const Key& key) const { return key.hash(); }
};

class PlanCache {
 public:
  PlanRef find(const Key& key) {
    std::lock_guard lock(mutex_);
    const auto found = plans_.find(key);
    return found == plans_.end() ? nullptr : found->second;
  }
  PlanRef insert(const Key& key, Plan plan) {
    std::lock_guard lock(mutex_);
    if (plans_.size() >= kMostPlans) plans_.clear();
    return plans_.emplace(key, std::make_shared<const Plan>(std::move(plan))).first->second;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<Key, PlanRef, KeyHash> plans_;
};

// Packed copies by the address of the weights, told apart by how they were read as well as by how
// they were packed: a square matrix and its transpose have one packed layout. A slot is stale when
// its storage died (the address may then belong to another tensor) or changed; stale slots go when
// something new comes in.
class PackedWeights {
 public:
  Tensor find(const Tensor& weights, const dnnl::memory::desc& own,
              const dnnl::memory::desc& layout) {
    std::lock_guard lock(mutex_);
    const auto found = slots_.find(weights.raw());
    if (found == slots_.end()) return {};
    for (const Slot& slot : found->second)
      if (slot.own == own && slot.layout == layout && slot.version == weights.version() &&
          slot.storage.lock() == weights.storage())
        return slot.memory;
    return {};
  }
  void insert(const Tensor& weights, const dnnl::memory::desc& own,
              const dnnl::memory::desc& layout, const Tensor& memory) {
    std::lock_guard lock(mutex_);
    for (auto& [address, slots] : slots_)
      std::erase_if(slots, [](const Slot& slot) { return slot.stale(); });
    std::erase_if(slots_, [](const auto& entry) { return entry.second.empty(); });
    slots_[weights.raw()].push_back({weights.storage(), weights.version(), own, layout, memory});
  }

 private:
  struct Slot {
    std::weak_ptr<Storage> storage;
    uint64_t version;
    dnnl::memory::desc own, layout;
    Tensor memory;

    bool stale() const {
      const std::shared_ptr<Storage> alive = storage.lock();
      return !alive || alive->version() != version;
    }
  };

  std::mutex mutex_;
  std::unordered_map<const void*, std::vector<Slot>> slots_;
};

// Never destroyed, as oneDNN's own tables may be gone by the time static objects are.
PlanCache& plans() {
  static PlanCache* const instance = new PlanCache;
  return *instance;
}

PackedWeights& packed_weights() {
  static PackedWeights* const instance = new PackedWeights;
  return *instance;
}

}  // namespace

dnnl::engine& engine() {
  static dnnl::engine* const instance = [] {
    cap_instructions();
    return new dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return *instance;
}

dnnl::memory::data_type type_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return dnnl::memory::data_type::f32;
    case DType::bf16: return dnnl::memory::data_type::bf16;
    case DType::i32: return dnnl::memory::data_type::s32;
    case DType::u8: return dnnl::memory::data_type::u8;
    case DType::f64: break;
  }
  throw Error(concat_text("oneDNN has no element type ", name_of(dtype)));
}

Key& Key::add(int64_t value) {
  CHECK(used_ < kCapacity, "onednn: a key of more than ", kCapacity, " numbers");
  values_[used_++] = value;
  return *this;
}

Key& Key::add(const Shape& shape) {
  add(shape.rank());
  for (const int64_t size : shape) add(size);
  return *this;
}

size_t Key::hash() const {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (size_t i = 0; i < used_; ++i) {
    hash = (hash ^ static_cast<uint64_t>(values_[i])) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 29;
  }
  return static_cast<size_t>(hash);
}

PlanRef plan_for(const char* operation, const Key& key, const std::function<Plan()>& make) {
  if (PlanRef found = plans().find(key)) return found;
  try {
    const OnOneThread guard;
    return plans().insert(key, make());
  } catch (const dnnl::error& error) {
    rethrow(operation, error);
  }
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

Reorder::Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to)
    : from(from), to(to) {
  if (from == to) return;
  const dnnl::reorder::primitive_desc description(engine(), from, engine(), to, attributes());
  primitive = dnnl::reorder(description);
  scratchpad = description.scratchpad_desc();
}

void Reorder::operator()(const Tensor& result, const Tensor& x) const {
  execute(primitive, scratchpad, {{DNNL_ARG_FROM, from, x.raw()}, {DNNL_ARG_TO, to, result.raw()}});
}

Tensor Reorder::operator()(const Tensor& x) const {
  if (!needed()) return x;
  const Tensor result = memory_for(to);
  (*this)(result, x);
  return result;
}

Tensor Reorder::memory_before(const Tensor& result) const {
  return needed() ? memory_for(from) : result;
}

void execute(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
             std::initializer_list<Argument> arguments) {
  constexpr size_t kMost = 8;
  std::array<dnnl::memory, kMost> memories;
  std::array<dnnl_exec_arg_t, kMost> raw;
  size_t count = 0;
  const auto add = [&](int name, const dnnl::memory::desc& layout, void* data) {
    memories[count] = dnnl::memory(layout, engine(), data);
    raw[count] = {name, memories[count].get()};
    ++count;
  };
  const OnOneThread guard;
  try {
    for (const Argument& argument : arguments)
      if (argument.data) add(argument.name, argument.layout, const_cast<void*>(argument.data));
    Tensor scratch;
    if (scratchpad.get_size() > 0) {
      scratch = memory_for(scratchpad);
      add(DNNL_ARG_SCRATCHPAD, scratchpad, scratch.raw());
    }
    const auto used = static_cast<int>(count);
    dnnl::error::wrap_c_api(
        dnnl_primitive_execute(primitive.get(), stream().get(), used, raw.data()), "failed");
    stream().wait();
  } catch (const dnnl::error& error) {
    rethrow("onednn", error);
  }
}

Tensor memory_for(const dnnl::memory::desc& layout) {
  return Tensor::empty({static_cast<int64_t>(layout.get_size())}, DType::u8);
}

Tensor packed(const Reorder& reorder, const Tensor& x) {
  if (!reorder.needed()) return x;
  if (Tensor found = packed_weights().find(x, reorder.from, reorder.to)) return found;
  const Tensor memory = reorder(x);
  packed_weights().insert(x, reorder.from, reorder.to, memory);
  return memory;
}

}  // namespace passband::cpu::onednn

namespace passband::cpu {

std::string onednn_version() {
  const dnnl_version_t* const v = dnnl_version();
  return concat_text(v->major, ".", v->minor, ".", v->patch);
}

// An instruction set is numbered by the bits of all that it holds.
bool onednn_has_bf16() {
  static const bool yes = [] {
    onednn::engine();  // which is of the level in use
    const auto needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);
    return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & needed) == needed;
  }();
  return yes;
}

}  // namespace passband::cpu
