// An exception that an OpenMP loop hands to its caller: one that left the loop by itself would end
// the program.
#pragma once
#include <exception>

namespace passband {

class FirstException {
 public:
  template <class Work> void catch_from(Work&& work) noexcept {
    try {
      work();
    } catch (...) {
#pragma omp critical(passband_first_exception)
      if (!exception_) exception_ = std::current_exception();
    }
  }
  // To be called after the loop.
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::exception_ptr exception_;
};

}  // namespace passband
