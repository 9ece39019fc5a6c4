// GradientExchange: the gradients of all processes are added up while the backward pass goes on.
#pragma once
#include <vector>

#include "nn/parameters.h"
#include "tensor/core/collective.h"

namespace passband {

// The flat gradient vector is cut into buckets from its end, where a backward pass begins; the
// first is small, so that its transfer begins early. A bucket is on its way as soon as all its
// gradients are whole and the buckets behind it are on theirs.
//   exchange.begin();   backward(loss, {}, exchange.listener());   exchange.finish();
class GradientExchange {
 public:
  static constexpr int64_t kFirstBytes = int64_t{1} << 20, kBytes = int64_t{24} << 20;

  // The store, built and on the processor, must outlive this.
  explicit GradientExchange(const ParameterStore& store, int64_t first_bytes = kFirstBytes,
                            int64_t bytes = kBytes);

  // Nothing is whole yet.
  void begin();
  // The gradient that lies in this part of the flat vector is whole.
  void whole(const Tensor& memory);
  // Sends what is left and waits for all: the flat vector holds the sums.
  void finish();

  int64_t bucket_count() const { return std::ssize(buckets_); }
  // Of the last pass: how many were on their way before finish().
  int64_t sent_early() const { return sent_early_; }

 private:
  struct Bucket {
    int64_t begin = 0, count = 0;  // of the flat vector
    int64_t missing = 0;           // gradients that are not whole yet
    PendingSum sum = {};
  };

  void send_until(bool all);
  Bucket& bucket_of(int64_t offset);

  const ParameterStore& store_;
  std::vector<Bucket> buckets_;  // from the end of the vector
  size_t sent_ = 0;
  int64_t sent_early_ = 0;
};

}  // namespace passband
