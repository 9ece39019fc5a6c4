// When the parts of a training's work began and ended, while somebody records it. Without a
// recording, a part costs one branch.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

namespace passband {

// The part of `gradient` is the time in which a parameter's gradient became whole, within
// `backward`; that of `all_reduce` reaches from the start of a bucket's sum to when it was seen to
// be there; in `waiting` nothing else is done, whatever is waited for.
enum class Activity : uint8_t {
  step,
  forward,
  backward,
  gradient,
  all_reduce,
  bucket_wait,
  report_wait,
  batch_wait,
  optimiser,
  loader,
  evaluation,
};

struct TimeSpan {
  Activity activity = Activity::step;
  int64_t number = -1;  // which one: a step, the gradient's place in the flat vector, a bucket
  double begin = 0, end = 0;  // seconds of the monotonic clock
};

// Seconds of the clock of spans, which processes of one machine share.
double timeline_now();
// Records from here on, the spans of all threads, until they are taken.
void record_timeline();
// What was recorded, by their ends; nothing is recorded any more.
std::vector<TimeSpan> take_timeline();

namespace timeline {
extern std::atomic<bool> recording;
}
inline bool recording_timeline() { return timeline::recording.load(std::memory_order_relaxed); }
// A span from `begin` until now.
void add_span(Activity activity, int64_t number, double begin);

// The span of a scope that begins and ends while somebody records.
class SpanTimer {
 public:
  explicit SpanTimer(Activity activity, int64_t number = -1)
      : activity_(activity), number_(number), begin_(recording_timeline() ? timeline_now() : -1) {}
  ~SpanTimer() {
    if (begin_ >= 0) add_span(activity_, number_, begin_);
  }
  SpanTimer(const SpanTimer&) = delete;
  SpanTimer& operator=(const SpanTimer&) = delete;

 private:
  Activity activity_;
  int64_t number_;
  double begin_;
};

}  // namespace passband
