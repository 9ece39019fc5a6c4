#include "tensor/core/timeline.h"

#include <chrono>
#include <mutex>
#include <utility>

namespace passband {

namespace timeline {
std::atomic<bool> recording = false;
}

namespace {

std::mutex spans_mutex;
std::vector<TimeSpan> recorded_spans;

}  // namespace

double timeline_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void record_timeline() {
  const std::lock_guard lock(spans_mutex);
  timeline::recording = true;
}

std::vector<TimeSpan> take_timeline() {
  const std::lock_guard lock(spans_mutex);
  timeline::recording = false;
  return std::exchange(recorded_spans, {});
}

void add_span(Activity activity, int64_t number, double begin) {
  const std::lock_guard lock(spans_mutex);
  if (timeline::recording) recorded_spans.push_back({activity, number, begin, timeline_now()});
}

}  // namespace passband
