#include "tensor/cpu/pieces.h"

#include <exception>
#include <mutex>

#include "tensor/cpu/parallel.h"

namespace passband::cpu {

void for_pieces(int64_t count, const std::function<void(int64_t)>& f) {
  std::exception_ptr failure;
  std::mutex mutex;
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    try {
      for (int64_t i = begin; i < end; ++i) f(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace passband::cpu
