#include "data/shard_order.h"

#include <algorithm>
#include <span>
#include <utility>

#include "tensor/core/error.h"
#include "tensor/core/random.h"

namespace passband {
namespace {

constexpr int64_t kMostLanes = 64, kLeastLaneBuffer = 64;

// First picture and count of each shard, in stored order.
std::vector<std::pair<int64_t, int64_t>> pictures_by_shard(const PictureFiles& files) {
  std::vector<std::pair<int64_t, int64_t>> runs;
  for (int64_t i = 0; i < files.size(); ++i) {
    if (i == 0 || files.shard(i) != files.shard(i - 1)) runs.emplace_back(i, 0);
    ++runs.back().second;
  }
  return runs;
}

template <class T> void shuffle(std::vector<T>& values, RandomSequence& random) {
  for (int64_t i = std::ssize(values); i > 1; --i)
    std::swap(values[static_cast<size_t>(i - 1)], values[static_cast<size_t>(random.below(i))]);
}

// Which lane shows each row of a batch: pairs of a row and its mirror image are dealt in order.
std::vector<int64_t> lanes_of_rows(int64_t rows, int64_t lanes) {
  std::vector<int64_t> lane_of(static_cast<size_t>(rows));
  const int64_t pairs = std::max<int64_t>(1, rows / 2);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t pair = std::min(std::min(row, rows - 1 - row), pairs - 1);
    lane_of[static_cast<size_t>(row)] = ((pair + 1) * lanes - 1) / pairs;
  }
  return lane_of;
}

// The pictures as they leave a buffer that they enter in this order.
std::vector<int64_t> mixed(std::span<const int64_t> read, int64_t buffer, RandomSequence& random) {
  std::vector<int64_t> held, shown;
  shown.reserve(read.size());
  for (const int64_t picture : read) {
    held.push_back(picture);
    if (std::ssize(held) < buffer) continue;
    std::swap(held[static_cast<size_t>(random.below(std::ssize(held)))], held.back());
    shown.push_back(held.back());
    held.pop_back();
  }
  shuffle(held, random);
  shown.insert(shown.end(), held.begin(), held.end());
  return shown;
}

}  // namespace

int64_t lane_buffer(const ShuffleBuffer& how, int64_t lanes) {
  return std::max<int64_t>(1, how.pictures / lanes);
}

int64_t count_lanes(const ShuffleBuffer& how, int64_t shards) {
  const int64_t most =
      std::min({kMostLanes, shards, how.batch_rows / 2, how.pictures / kLeastLaneBuffer});
  int64_t lanes = 1;
  while (2 * lanes <= most) lanes *= 2;
  return lanes;
}

ShardOrder order_by_shards(const PictureFiles& files, const ShuffleBuffer& how, uint64_t seed,
                           int64_t epoch) {
  CHECK(how.pictures >= 1 && how.batch_rows >= 1 && how.repeats >= 1, "shuffle buffer of ",
        how.pictures, " pictures, batches of ", how.batch_rows, " rows, ", how.repeats, " repeats");
  RandomSequence random({seed, static_cast<uint64_t>(epoch), site_of("loader.shards")});
  auto shards = pictures_by_shard(files);
  const int64_t lanes = count_lanes(how, std::ssize(shards));
  const std::vector<int64_t> lane_of = lanes_of_rows(how.batch_rows, lanes);
  const auto lane_of_place = [&](int64_t place) {
    return static_cast<size_t>(lane_of[static_cast<size_t>(place * how.repeats % how.batch_rows)]);
  };
  std::vector<int64_t> wanted(static_cast<size_t>(lanes));
  for (int64_t place = 0; place < files.size(); ++place) ++wanted[lane_of_place(place)];

  shuffle(shards, random);
  ShardOrder order{.shown = {}, .read = std::vector<std::vector<int64_t>>(wanted.size())};
  size_t lane = 0;
  for (const auto& [first, count] : shards)
    for (int64_t i = first; i < first + count; ++i) {
      while (std::ssize(order.read[lane]) == wanted[lane]) ++lane;
      order.read[lane].push_back(i);
    }
  std::vector<std::vector<int64_t>> shown;
  for (const std::vector<int64_t>& read : order.read)
    shown.push_back(mixed(read, lane_buffer(how, lanes), random));
  std::vector<size_t> next(wanted.size());
  order.shown.reserve(static_cast<size_t>(files.size()));
  for (int64_t place = 0; place < files.size(); ++place) {
    const size_t from = lane_of_place(place);
    order.shown.push_back(shown[from][next[from]++]);
  }
  return order;
}

}  // namespace passband
