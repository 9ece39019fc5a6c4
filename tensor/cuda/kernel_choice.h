// The choice between two kernels of one operation: times both when asked to choose, and remembers
// the faster for the shape and the device.
#pragma once
#include <algorithm>
#include <map>
#include <vector>

#include "tensor/core/kernel_source.h"
#include "tensor/cuda/runtime.h"
#include "tensor/cuda/stream.h"

namespace passband::cuda {

class KernelChoice {
 public:
  // Everything that the time depends on: sizes, options, element type.
  using Shape = std::vector<int64_t>;

  // `native()` and `library()` put the same result in the same place; `library()` returns false,
  // having done nothing, where it can not.
  template <class Native, class Library>
  void run(KernelSource source, const Shape& shape, Native&& native, Library&& library) {
    if (source == KernelSource::automatic) source = remembered(shape, native, library);
    if (source != KernelSource::library || !library()) native();
  }

  size_t size() const { return choices_.size(); }

 private:
  template <class Native, class Library>
  KernelSource remembered(const Shape& shape, Native& native, Library& library) {
    const std::pair<int, Shape> key{device_in_use(), shape};
    const auto found = choices_.find(key);
    if (found != choices_.end()) return found->second;
    if (is_recording()) return KernelSource::native;
    const bool possible = library();
    const bool faster = possible && milliseconds(library) < milliseconds(native);
    return choices_[key] = faster ? KernelSource::library : KernelSource::native;
  }

  // The best of three, after one run that the first may need to load its code.
  template <class Work> static float milliseconds(Work& work) {
    Event start, end;
    float best = 0;
    for (int attempt = 0; attempt < 4; ++attempt) {
      start.record(compute_stream());
      work();
      end.record(compute_stream());
      end.synchronize();
      const float elapsed = end.milliseconds_since(start);
      best = attempt <= 1 ? elapsed : std::min(best, elapsed);
    }
    return best;
  }

  std::map<std::pair<int, Shape>, KernelSource> choices_;
};

}  // namespace passband::cuda
