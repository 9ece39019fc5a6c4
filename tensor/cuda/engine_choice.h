// Runs an operation by one of two engines; times both when asked to choose, and remembers the
// choice for the shape.
#pragma once
#include <algorithm>
#include <map>
#include <vector>

#include "tensor/cuda/runtime.h"
#include "tensor/cuda/stream.h"
#include "tensor/ops/engine.h"

namespace passband::cuda {

class EngineChoice {
 public:
  // Everything that the time depends on: sizes, options, element type.
  using Shape = std::vector<int64_t>;

  // `native()` and `library()` put the same result in the same place; `library()` returns false,
  // having done nothing, where it can not.
  template <class Native, class Library>
  void run(Engine engine, const Shape& shape, Native&& native, Library&& library) {
    if (engine == Engine::automatic) engine = remembered(shape, native, library);
    if (engine == Engine::native || !library()) native();
  }

  size_t size() const { return choices_.size(); }

 private:
  template <class Native, class Library>
  Engine remembered(const Shape& shape, Native& native, Library& library) {
    const auto found = choices_.find(shape);
    if (found != choices_.end()) return found->second;
    if (is_recording()) return Engine::native;
    const bool possible = library();
    const bool faster = possible && milliseconds(library) < milliseconds(native);
    return choices_[shape] = faster ? Engine::library : Engine::native;
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

  std::map<Shape, Engine> choices_;
};

}  // namespace passband::cuda
