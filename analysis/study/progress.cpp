#include "analysis/study/progress.h"

#include <algorithm>

namespace passband {

Progress Progress::part(int64_t index, int64_t parts, std::string label) const {
  const double width = (end_ - begin_) / static_cast<double>(std::max<int64_t>(1, parts));
  Progress inner = *this;
  inner.begin_ = begin_ + width * static_cast<double>(index);
  inner.end_ = inner.begin_ + width;
  if (label_.empty()) inner.label_ = std::move(label);
  else if (!label.empty()) inner.label_ += ", " + label;
  return inner;
}

void Progress::operator()(int64_t count, int64_t total, std::string_view unit) const {
  send(count, total, unit, false);
}

void Progress::kept(int64_t count, int64_t total, std::string_view unit) const {
  send(count, total, unit, true);
}

void Progress::send(int64_t count, int64_t total, std::string_view unit, bool kept) const {
  if (!sink_) return;
  const double share = total > 0 ? static_cast<double>(count) / static_cast<double>(total) : 0;
  sink_({.done = begin_ + (end_ - begin_) * std::clamp(share, 0.0, 1.0),
         .label = label_,
         .count = count,
         .total = total,
         .unit = std::string(unit),
         .kept = kept});
}

}  // namespace passband
