// Register loops on all threads for the arithmetic peaks, streaming loops for the memory bandwidth.
#include "experiments/bench/peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>

#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"
#include "tensor/core/thread_pool.h"
#include "tensor/cpu/peak.h"

namespace passband::bench {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Operations by the clock's time and by the processor's.
struct Rate {
  double by_clock, by_processor;
};

// Runs `round`, which returns how many operations it did, on every thread for about `seconds`; all
// threads' operations per second.
template <class Round> Rate rates(double seconds, const Round& round) {
  std::atomic<double> done = 0;
  const double begin = now(), used = processor_seconds();
  auto work = [&] {
    for (const double end = begin + seconds; now() < end;) {
      const double flop = round();
      if (flop == 0) break;
      done += flop;
    }
  };
  on_threads(thread_count(), {[](void* each) { (*static_cast<decltype(work)*>(each))(); }, &work});
  return {done / (now() - begin) / 1e9, done * thread_count() / (processor_seconds() - used) / 1e9};
}

template <class Round> double rate(double seconds, const Round& round) {
  return rates(seconds, round).by_clock;
}

// Best of five passes of `pass` over arrays of 64 MiB; `arrays` of them are read or written.
template <class Pass> double bandwidth(int arrays, const Pass& pass) {
  constexpr int64_t kElements = int64_t{1} << 24;
  Tensor a = Tensor::full({kElements}, 1), b = Tensor::full({kElements}, 2),
         c = Tensor::full({kElements}, 3);
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const double begin = now();
    parallel_for(kElements, kGrain, [&](int64_t from, int64_t to) {
      pass(a.data<float>() + from, b.data<float>() + from, c.data<float>() + from, to - from);
    });
    best = std::max(best, arrays * kElements * 4 / (now() - begin) / 1e9);
  }
  return best;
}

}  // namespace

double processor_seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double f32_peak(double seconds) { return rate(seconds, cpu::f32_peak_round); }

double bf16_peak(double seconds) {
  const double peak = rate(seconds, cpu::bf16_peak_round);
  return peak > 0 ? peak : f32_peak(seconds);
}

double undisturbed_peak(bool bf16, double seconds) {
  const double peak = bf16 ? rates(seconds, cpu::bf16_peak_round).by_processor : 0;
  return peak > 0 ? peak : rates(seconds, cpu::f32_peak_round).by_processor;
}

double matrix_peak(double seconds) { return rate(seconds, cpu::tile_peak_round); }

double copy_bandwidth() {
  return bandwidth(2, [](float* a, const float* b, const float*, int64_t n) {
    std::memcpy(a, b, static_cast<size_t>(n) * sizeof(float));
  });
}

double triad_bandwidth() {
  return bandwidth(3, [](float* a, const float* b, const float* c, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) a[i] = b[i] + 0.5f * c[i];
  });
}

}  // namespace passband::bench
