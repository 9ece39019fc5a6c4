// GradientExchange: the gradients of all processes are added up while the backward pass goes on.
#pragma once
#include <vector>

#include "nn/parameters.h"
#include "tensor/core/tensor_sums.h"
#include "train/gradient_buckets.h"

namespace passband {

// The ranges of all parameters, in the order of the flat vector.
std::vector<GradientRange> ranges_of(const ParameterStore& store);

// The flat gradient vector is cut into buckets (train/gradient_buckets.h). One is on its way as
// soon as all its gradients are whole and the buckets behind it are on theirs. On a GPU the host
// waits for nothing, and all of it may be recorded.
//   exchange.begin();   backward(loss, {}, exchange.listener());   exchange.finish();
class GradientExchange {
 public:
  // The store, built and where it stays, must outlive this.
  explicit GradientExchange(const ParameterStore& store, int64_t first_bytes = kFirstBucketBytes,
                            int64_t bytes = kBucketBytes);

  // Nothing is whole yet.
  void begin();
  // The gradient that lies in this part of the flat vector is whole.
  void whole(const Tensor& memory);
  // Sends what is left and waits for all: the flat vector holds the sums, for what comes later in
  // the device's work.
  void finish();

  int64_t bucket_count() const { return std::ssize(buckets_); }
  // Of the last pass: how many were on their way before finish().
  int64_t sent_early() const { return sent_early_; }

 private:
  struct Bucket {
    int64_t begin = 0, count = 0;  // of the flat vector
    int64_t missing = 0;           // gradients that are not whole yet
    TensorSum sum = {};
    double sent_at = -1;  // while the timeline is recorded, until the sum is there
  };

  void send_until(bool all);
  void note_arrival(size_t bucket);
  Bucket& bucket_of(int64_t offset);

  const ParameterStore& store_;
  std::vector<Bucket> buckets_;  // from the end of the vector
  size_t sent_ = 0;
  int64_t sent_early_ = 0;
};

}  // namespace passband
