// Reads the pictures of tar shards ahead, in long pieces one after the other, on threads of its
// own.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <vector>

#include "data/shard_order.h"

namespace passband {

class ShardStream {
 public:
  // How often this process shows what stands at each place of an epoch's order, beginning with a
  // batch of the epoch: 0 what others show, or nobody.
  using Uses = std::function<std::vector<uint8_t>(int64_t first_batch)>;

  // Of the pictures from (epoch, batch) on. `files` must outlive it.
  ShardStream(const PictureFiles& files, const ShuffleBuffer& how, uint64_t seed, Uses uses,
              int64_t epoch, int64_t batch);
  ~ShardStream();
  ShardStream(const ShardStream&) = delete;
  ShardStream& operator=(const ShardStream&) = delete;

  // The order of an epoch: the one that is shown, or the one after it.
  std::shared_ptr<const std::vector<int64_t>> order(int64_t epoch);
  // The bytes of a picture of the epoch as a file, in the order of the epoch's places. Waits for
  // them. Throws DataError that names shard and offset where they cannot be read.
  std::vector<uint8_t> take(int64_t epoch, int64_t picture);

  // What was read so far, and the most pictures that were held at once.
  struct Counts {
    int64_t reads = 0, bytes = 0, most_held = 0;
  };
  Counts counts();

 private:
  struct Epoch {
    std::shared_ptr<const std::vector<int64_t>> shown;
    // Of each lane what is shown here, in the order of reading; how often, by picture.
    std::vector<std::vector<int64_t>> read;
    std::vector<uint8_t> uses;
  };
  struct Lane {
    int64_t epoch = 0;
    size_t next = 0;   // of the epoch's pictures that the lane reads
    int64_t held = 0;  // pictures, those that are being read included
  };
  struct Held {
    std::vector<uint8_t> bytes;
    std::exception_ptr failure;
    size_t lane = 0;
    uint8_t uses = 0;  // that are still to come
  };

  // Pictures below which a lane reads on; then up to buffer_ + ahead_ of them.
  int64_t least_held() const { return buffer_ + (ahead_ + 1) / 2; }
  void work(size_t thread, std::stop_token stop);
  void read_on(size_t thread, std::stop_token stop);
  Lane* next_lane(size_t thread);
  std::vector<int64_t> next_pictures(Lane& lane);
  std::vector<Held> read(const std::vector<int64_t>& pictures);
  Held read_alone(int64_t picture);
  const Epoch& plan(int64_t epoch);

  const PictureFiles& files_;
  ShuffleBuffer how_;
  uint64_t seed_;
  Uses uses_;
  int64_t first_epoch_, first_batch_;
  int64_t buffer_ = 0, ahead_ = 0;  // pictures of a lane: to draw from, and beside them
  int64_t longest_read_ = 0;        // in bytes

  std::mutex mutex_;
  std::condition_variable_any changed_;
  int64_t shown_epoch_;
  std::map<int64_t, Epoch> epochs_;
  std::vector<Lane> lanes_;
  std::unordered_map<uint64_t, Held> held_;
  Counts counts_;
  std::exception_ptr failure_;         // of a thread
  std::vector<std::jthread> threads_;  // last: they stop before what they use is gone
};

}  // namespace passband
