// Progress of an analysis, for whoever waits at the terminal.
#pragma once
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace passband {

// Thrown by a progress report when the user asked to stop: the section that is running is dropped,
// finished ones stay.
struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

// A stretch of work. Reports say how many units of the stretch are done; a part of a stretch is a
// stretch of its own:
//
//   for (size_t s = 0; s < subjects; ++s)
//     const Progress part = input.progress.part(s, subjects, subject.label);
//     run_pass(*subject.model, data, {.images = n, .progress = part}, ...);
//   for (int64_t i = 0; i < points; ++i) { input.progress(i, points, "points"); ... }
//
// Without a sink (tests) it does nothing. Costs a few hundred nanoseconds a call: report per batch,
// not per picture.
class Progress {
 public:
  struct Report {
    double done = 0;               // of the whole analysis, 0 to 1
    std::string label = {};        // of the stretch
    int64_t count = 0, total = 0;  // units of the stretch
    std::string unit = {};         // "pictures", "products", "points"
    bool kept = false;             // found done from an earlier call: no time was spent on it
  };
  using Sink = std::function<void(const Report&)>;

  Progress() = default;
  explicit Progress(Sink sink) : sink_(std::move(sink)) {}

  // Stretch `index` of `parts` equal ones.
  Progress part(int64_t index, int64_t parts, std::string label = {}) const;
  // `count` of `total` units are done. Throws Interrupted when the user asked to stop.
  void operator()(int64_t count, int64_t total, std::string_view unit = "steps") const;
  // The same of units that an earlier call left, so that they do not count as speed.
  void kept(int64_t count, int64_t total, std::string_view unit = "steps") const;

 private:
  void send(int64_t count, int64_t total, std::string_view unit, bool kept) const;

  Sink sink_;
  double begin_ = 0, end_ = 1;
  std::string label_;
};

// How long the rest will take at the pace so far. Times in seconds on any clock, `done` from 0
// to 1.
class Pace {
 public:
  explicit Pace(double now = 0) : since_(now) {}
  // `done` was there already: the pace is measured from here.
  void kept(double now, double done) {
    since_ = now;
    from_ = done;
  }
  // Nothing before there is a pace.
  std::optional<double> left(double now, double done) const {
    if (done <= from_) return std::nullopt;
    return (now - since_) * (1 - done) / (done - from_);
  }

 private:
  double since_ = 0, from_ = 0;
};

}  // namespace passband
