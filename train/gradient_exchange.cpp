#include "train/gradient_exchange.h"

#include <algorithm>
#include <utility>

#include "tensor/core/timeline.h"

namespace passband {

std::vector<GradientRange> ranges_of(const ParameterStore& store) {
  std::vector<GradientRange> ranges;
  for (const ParameterRef& parameter : store.parameters())
    ranges.push_back({parameter->offset, parameter->shape.numel()});
  return ranges;
}

GradientExchange::GradientExchange(const ParameterStore& store, int64_t first_bytes, int64_t bytes)
    : store_(store) {
  for (const GradientRange& range : gradient_buckets(ranges_of(store), first_bytes, bytes))
    buckets_.push_back({.begin = range.begin, .count = range.count});
}

GradientExchange::Bucket& GradientExchange::bucket_of(int64_t offset) {
  const auto found =
      std::ranges::find_if(buckets_, [&](const Bucket& b) { return b.begin <= offset; });
  CHECK(found != buckets_.end(), "no bucket has element ", offset);
  return *found;
}

void GradientExchange::begin() {
  sent_ = 0;
  sent_early_ = 0;
  for (Bucket& bucket : buckets_) bucket.missing = 0;
  for (const ParameterRef& parameter : store_.parameters())
    if (!parameter->frozen) ++bucket_of(parameter->offset).missing;
}

void GradientExchange::whole(const Tensor& memory) {
  const Tensor all = store_.gradients();
  const auto* const first = static_cast<const float*>(all.raw());
  --bucket_of(static_cast<const float*>(memory.raw()) - first).missing;
  send_until(/*all=*/false);
  // MPI moves what it carries while it is called
  for (size_t i = 0; i < sent_; ++i)
    if (buckets_[i].sum.advance()) note_arrival(i);
}

void GradientExchange::note_arrival(size_t bucket) {
  const double sent_at = std::exchange(buckets_[bucket].sent_at, -1);
  if (sent_at >= 0) add_span(Activity::all_reduce, static_cast<int64_t>(bucket), sent_at);
}

// All processes send the same buckets in the same order.
void GradientExchange::send_until(bool all) {
  for (; sent_ < buckets_.size() && (all || buckets_[sent_].missing == 0); ++sent_) {
    Bucket& bucket = buckets_[sent_];
    bucket.sent_at = recording_timeline() ? timeline_now() : -1;
    bucket.sum = begin_sum(store_.gradients().view(bucket.begin, Shape{bucket.count}));
  }
}

void GradientExchange::finish() {
  sent_early_ = static_cast<int64_t>(sent_);
  send_until(/*all=*/true);
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const SpanTimer waiting(Activity::bucket_wait, static_cast<int64_t>(i));
    buckets_[i].sum.wait();
    note_arrival(i);
  }
}

}  // namespace passband
