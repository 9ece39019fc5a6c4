// Time per kernel, counted while a profile is being taken. Without one, a kernel pays one branch.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace passband {

struct KernelTime {
  std::string kernel;
  int64_t calls = 0;
  double seconds = 0;
};

// Starts counting from zero.
void start_profile();
// Stops counting; what was counted, the longest first.
std::vector<KernelTime> stop_profile();

// Counts the time until it is destroyed for `kernel`; DISPATCH makes one around every kernel.
class KernelTimer {
 public:
  explicit KernelTimer(const char* kernel) : kernel_(profiling_ ? kernel : nullptr) {
    if (kernel_) start();
  }
  ~KernelTimer() {
    if (kernel_) stop();
  }
  KernelTimer(const KernelTimer&) = delete;
  KernelTimer& operator=(const KernelTimer&) = delete;

 private:
  friend void start_profile();
  friend std::vector<KernelTime> stop_profile();
  void start();
  void stop() const;

  static bool profiling_;
  const char* kernel_;
  double begin_ = 0;
};

}  // namespace passband
