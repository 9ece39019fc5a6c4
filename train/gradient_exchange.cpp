#include "train/gradient_exchange.h"

#include <algorithm>

namespace passband {

GradientExchange::GradientExchange(const ParameterStore& store, int64_t first_bytes, int64_t bytes)
    : store_(store) {
  constexpr int64_t kElement = sizeof(float);
  const auto& parameters = store.parameters();
  int64_t room = 0;
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    if (room <= 0) {
      buckets_.push_back({.begin = (*it)->offset + (*it)->shape.numel()});
      room = (buckets_.size() == 1 ? first_bytes : bytes) / kElement;
    }
    Bucket& bucket = buckets_.back();
    bucket.count += bucket.begin - (*it)->offset;
    bucket.begin = (*it)->offset;
    room -= (*it)->shape.numel();
  }
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
  --bucket_of(memory.data<float>() - all.data<float>()).missing;
  send_until(/*all=*/false);
  // MPI moves what it carries while it is called
  for (size_t i = 0; i < sent_; ++i) buckets_[i].sum.advance();
}

// All processes send the same buckets in the same order.
void GradientExchange::send_until(bool all) {
  for (; sent_ < buckets_.size() && (all || buckets_[sent_].missing == 0); ++sent_) {
    Bucket& bucket = buckets_[sent_];
    float* const values = store_.gradients().view(bucket.begin, Shape{bucket.count}).data<float>();
    bucket.sum = begin_sum(values, bucket.count);
  }
}

void GradientExchange::finish() {
  sent_early_ = static_cast<int64_t>(sent_);
  send_until(/*all=*/true);
  for (Bucket& bucket : buckets_) bucket.sum.wait();
}

}  // namespace passband
