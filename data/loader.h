// An endless stream of shuffled, augmented batches, made ahead on a thread of its own, resumable.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"
#include "data/shard_stream.h"
#include "tensor/core/batch_share.h"
#include "tensor/core/tensor.h"

namespace passband {

struct LoaderOptions {
  int64_t batch_size = 256;
  int64_t image_size = 0;  // output side; 0: the stored size
  bool train = true;       // shuffle and augment; false: stored order, make_eval_batch
  bool drop_last = false;  // leave out an incomplete last batch
  bool pixels =
      true;  // false: indices and labels alone, for a caller that makes the pictures elsewhere
  AugmentOptions augment = {};
  uint64_t seed = 0;
  int threads = 0;  // that make a batch, of those that the network uses too; 0: thread_count()
  // > 0: tar shards are read one after the other, and so many pictures of all processes are held to
  // draw the next one from (data/shard_order.h); 0: an order of all pictures, each read in place.
  int64_t shuffle_buffer = 0;
  bool prefetch = true;  // false: batches are made inside next(), on the caller's thread
  // Of several processes, each makes its rows of every batch: of each of its `parts`, equal and one
  // after the other, those of `share`.
  BatchShare share = {};
  int64_t parts = 1;
};

// One batch and where in the stream it stands.
struct Batch {
  // (B, S, S, 3) f32, of the processor; undefined without LoaderOptions::pixels. Memory of its own
  // as long as somebody keeps it, who may also write into it.
  Tensor images;
  std::vector<int32_t> labels;   // (B)
  std::vector<int64_t> indices;  // (B), into the data set
  int64_t size = 0;              // B
  int64_t epoch = 0, step = 0;   // step counts within the epoch
};

// The dataset must outlive the loader. Epoch e visits the pictures in an order drawn from (seed, e)
// (and the shuffle buffer) and augments them from (seed, e, index), so the stream after seek(p)
// equals the stream that reached p, bit for bit. One thread calls next() and seek(). An exception
// while a batch is made is thrown by the next() that would return it.
class BatchLoader {
 public:
  struct Position {
    int64_t epoch = 0, step = 0;
    bool operator==(const Position&) const = default;
  };

  // Throws UsageError for an empty data set, a batch size below 1, drop_last with fewer pictures
  // than one batch, or a shuffle buffer for what are no tar shards.
  BatchLoader(const Dataset& dataset, LoaderOptions options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // The next batch; valid until the following next(). After the last batch of an epoch comes the
  // first of the next one.
  const Batch& next();

  // Where the batch stands that next() will return: what a checkpoint stores.
  Position position() const { return position_; }
  void seek(Position position);

  int64_t batches_per_epoch() const { return batches_per_epoch_; }
  int64_t image_size() const { return options_.image_size; }

 private:
  void make(Position at, Batch& batch);
  void find_order(Position at);
  ShuffleBuffer shuffle_buffer() const;
  std::vector<uint8_t> uses_from(int64_t first_step) const;
  void make_images(Batch& batch, int64_t begin);
  Position after(Position at) const;
  void work(std::stop_token stop);

  const Dataset& dataset_;
  LoaderOptions options_;
  int64_t batches_per_epoch_ = 0;
  Position position_;  // of the consumer
  Batch current_;      // lent out by next()

  std::vector<std::pair<int64_t, int64_t>> runs_;  // first row and count, of a batch
  // Of epoch order_epoch_; what follows is used by the thread that makes batches.
  std::shared_ptr<const std::vector<int64_t>> order_;
  int64_t order_epoch_ = -1;
  std::unique_ptr<ShardStream> stream_;
  Position stream_at_;  // of the batch whose pictures it gives next

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Position wanted_;          // what the worker makes next
  uint64_t generation_ = 0;  // moves with every seek: older work is dropped
  bool ready_ = false;       // spare_ (or failure_) holds the batch for the consumer
  Batch spare_;
  std::exception_ptr failure_;
  std::jthread worker_;  // last: it stops before what it uses is gone
};

// The order in which an epoch visits `count` pictures: a Fisher-Yates shuffle by (seed, epoch).
std::vector<int64_t> epoch_order(int64_t count, uint64_t seed, int64_t epoch);

}  // namespace passband
