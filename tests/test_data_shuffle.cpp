// Tar shards read in order through a shuffle buffer: every picture once an epoch whatever the
// shards and processes, the same order resumed, long reads.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "data/loader.h"
#include "data/shard_order.h"
#include "data/shard_stream.h"
#include "tests/picture_files.h"
#include "tests/shard_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

// Members of nothing, of shards with so many each.
PictureFiles members(const std::vector<int>& shards) {
  PictureFiles files;
  for (size_t s = 0; s < shards.size(); ++s)
    for (int i = 0; i < shards[s]; ++i)
      files.add_member(concat_text(s, ".tar"), 512 + i * 1024, 100, 7);
  return files;
}

std::vector<int64_t> all_of(int64_t count) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::vector<int64_t> sorted(std::vector<int64_t> values) {
  std::ranges::sort(values);
  return values;
}

// Shards of pictures whose red is their number, each of a class of two.
DataSplits red_shards(const TemporaryFolder& folder, const std::vector<int>& shards) {
  int number = 0;
  for (size_t s = 0; s < shards.size(); ++s) {
    Members held;
    for (int i = 0; i < shards[s]; ++i, ++number) {
      write_png(folder / "one.png", 8, 8, 3, colour(8, 8, {static_cast<uint8_t>(number), 0, 0}));
      held.emplace_back(concat_text(number, ".png"), text_of(folder / "one.png"));
      held.emplace_back(concat_text(number, ".cls"), concat_text(number % 2));
    }
    write_text(folder / concat_text("s/train-", s, ".tar"), tar_of(held));
  }
  return load_dataset({.name = (folder / "s").string(), .image_size = 8, .training = false});
}

const Dataset& pictures(const DataSplits& data) {
  return data.train.count > 0 ? data.train : data.test;
}

}  // namespace

TEST_CASE("an epoch by shards shows every picture once, whatever shards, buffer and batches") {
  for (const auto& shards : std::vector<std::vector<int>>{{1}, {300}, {7, 1, 90, 2, 2}, {40, 0, 3}})
    for (const int64_t buffer : {1, 2, 63, 64, 200, 100000})
      for (const int64_t rows : {1, 2, 7, 32})
        for (const int64_t repeats : {1, 3}) {
          const PictureFiles files = members(shards);
          const ShuffleBuffer how{.pictures = buffer, .batch_rows = rows, .repeats = repeats};
          const ShardOrder order = order_by_shards(files, how, 5, 2);
          CHECK(sorted(order.shown) == all_of(files.size()));
          std::vector<int64_t> read;
          for (const auto& lane : order.read) read.insert(read.end(), lane.begin(), lane.end());
          CHECK(sorted(read) == all_of(files.size()));
          CHECK(order.shown == order_by_shards(files, how, 5, 2).shown);
        }
}

TEST_CASE("a buffer shows no picture before it can hold it, and each lane reads shards in order") {
  const PictureFiles files = members(std::vector<int>(40, 50));
  const ShuffleBuffer how{.pictures = 300, .batch_rows = 32};
  const int64_t lanes = count_lanes(how, 40);
  CHECK(lanes == 4);  // 300 / 64 rounded down to a power of two
  const ShardOrder order = order_by_shards(files, how, 1, 0);
  REQUIRE(std::ssize(order.read) == lanes);
  std::vector<size_t> shown_at(2000);
  std::vector<int64_t> of_lane(2000), shown_of(static_cast<size_t>(lanes));
  for (size_t lane = 0; lane < order.read.size(); ++lane)
    for (const int64_t picture : order.read[lane])
      of_lane[static_cast<size_t>(picture)] = static_cast<int64_t>(lane);
  for (const int64_t picture : order.shown)
    shown_at[static_cast<size_t>(picture)] =
        static_cast<size_t>(shown_of[static_cast<size_t>(of_lane[static_cast<size_t>(picture)])]++);
  for (const auto& read : order.read) {
    int64_t jumps = 0;
    for (size_t i = 0; i < read.size(); ++i) {
      CHECK(i < shown_at[static_cast<size_t>(read[i])] + 300 / 4);
      jumps += i > 0 && read[i] != read[i - 1] + 1 ? 1 : 0;
    }
    CHECK(jumps <= 10);  // a quarter of 40 shards, the first or last of them in part
  }
  // Rows 0 to 3 and their mirror images are the first lane's, and so on.
  for (size_t place = 0; place < 2000; ++place) {
    const int64_t row = static_cast<int64_t>(place) % 32, pair = std::min(row, 31 - row);
    CHECK(of_lane[static_cast<size_t>(order.shown[place])] == pair / 4);
  }
}

TEST_CASE("other epochs and seeds have other orders, and a large buffer mixes all of them") {
  const PictureFiles files = members({20, 20, 20, 20, 20});
  const ShuffleBuffer all{.pictures = 1000, .batch_rows = 2};
  const auto order = [&](uint64_t seed, int64_t epoch) {
    return order_by_shards(files, all, seed, epoch).shown;
  };
  CHECK(order(1, 0) != order(1, 1));
  CHECK(order(1, 0) != order(2, 0));
  // Which picture comes first is as likely for all.
  std::vector<int> first(100);
  for (int64_t epoch = 0; epoch < 5000; ++epoch) ++first[static_cast<size_t>(order(3, epoch)[0])];
  double chi = 0;  // 99 degrees of freedom: 14 is their standard deviation
  for (const int n : first) chi += (n - 50.0) * (n - 50.0) / 50;
  CHECK(std::abs(chi - 99) < 5 * 14.1);
}

TEST_CASE("batches through a buffer are the pictures of their order, resumed anywhere") {
  const TemporaryFolder folder;
  const DataSplits splits = red_shards(folder, {9, 30, 1, 17, 60, 33});
  const Dataset& data = pictures(splits);
  REQUIRE(data.count == 150);
  for (const int64_t buffer : {1, 20, 150}) {
    LoaderOptions options{.batch_size = 8,
                          .image_size = 8,
                          .augment = {.pad = 0, .flip = 0},
                          .seed = 3,
                          .shuffle_buffer = buffer};
    BatchLoader whole(data, options);
    std::vector<std::vector<int64_t>> seen;
    for (int step = 0; step < 45; ++step) {
      const Batch& batch = whole.next();
      seen.push_back(batch.indices);
      for (int64_t i = 0; i < batch.size; ++i) {  // it is that picture
        const double red = batch.images.values()[static_cast<size_t>(i * 8 * 8 * 3)];
        CHECK(red * data.std[0] * 255 + data.mean[0] * 255 ==
              doctest::Approx(batch.indices[static_cast<size_t>(i)]).epsilon(0.01));
      }
    }
    std::vector<int64_t> epoch;
    for (int step = 0; step < 19; ++step)
      epoch.insert(epoch.end(), seen[step].begin(), seen[step].end());
    CHECK(sorted(epoch) == all_of(150));
    for (const int64_t from : {1, 7, 18, 19, 30}) {
      BatchLoader later(data, options);
      later.seek({from / 19, from % 19});
      for (int64_t step = from; step < 45; ++step) CHECK(later.next().indices == seen[step]);
      later.seek({0, 2});
      CHECK(later.next().indices == seen[2]);
    }
  }
}

TEST_CASE("any number of processes show the pictures of one, at its places of each batch") {
  const TemporaryFolder folder;
  const DataSplits splits = red_shards(folder, {40, 3, 70, 37});
  const Dataset& data = pictures(splits);
  const LoaderOptions alone{.batch_size = 16,
                            .image_size = 8,
                            .drop_last = true,
                            .augment = {.pad = 0, .repeats = 3},
                            .seed = 8,
                            .shuffle_buffer = 130};
  BatchLoader whole(data, alone);
  std::vector<std::vector<int64_t>> seen;
  for (int step = 0; step < 20; ++step) seen.push_back(whole.next().indices);
  for (const int processes : {2, 3, 5})
    for (int rank = 0; rank < processes; ++rank) {
      LoaderOptions part = alone;
      part.share = share_of_batch(16, rank, processes);
      BatchLoader loader(data, part);
      for (const auto& batch : seen) {
        const Batch& own = loader.next();
        REQUIRE(own.size == part.share.count());
        for (int64_t i = 0; i < own.size; ++i)
          CHECK(own.indices[static_cast<size_t>(i)] ==
                batch[static_cast<size_t>(part.share.row(i))]);
      }
    }
}

TEST_CASE("shards are read in long pieces, and no more is held than was asked for") {
  const TemporaryFolder folder;
  const DataSplits splits = red_shards(folder, {100, 100, 50});
  const Dataset& data = pictures(splits);
  const ShuffleBuffer how{.pictures = 64, .batch_rows = 2};
  ShardStream stream(
      data.files, how, 1, [](int64_t) { return std::vector<uint8_t>(250, 1); }, 0, 0);
  for (int64_t epoch = 0; epoch < 2; ++epoch)
    for (const int64_t picture : *stream.order(epoch)) stream.take(epoch, picture);
  CHECK(stream.counts().reads < 60);  // two epochs of 250 pictures, and the next one begun
  CHECK(stream.counts().most_held <= 64 + 1024);
}

TEST_CASE("a shard that is cut or gone while it is read is named with the offset") {
  const TemporaryFolder folder;
  const DataSplits splits = red_shards(folder, {20, 20});
  const Dataset& data = pictures(splits);
  const fs::path shard = folder / "s/train-1.tar";
  const int64_t offset = data.files.offset(30);
  const std::string bytes = text_of(shard);
  write_text(shard, bytes.substr(0, static_cast<size_t>(offset) + 10));
  const LoaderOptions options{
      .batch_size = 40, .image_size = 8, .augment = {.pad = 0}, .shuffle_buffer = 10};
  BatchLoader loader(data, options);
  const std::string error = message_of<DataError>([&] { loader.next(); });
  CHECK(error.starts_with(shard.string() + " at offset "));
  CHECK(contains(error, "it ends before byte"));
  write_text(shard, bytes);
  loader.seek({0, 0});
  CHECK(loader.next().size == 40);
}

TEST_CASE("a shuffle buffer is for tar shards alone") {
  const Dataset data = counting_dataset(20, 8, 8);
  CHECK(contains(
      message_of<UsageError>([&] { BatchLoader(data, {.batch_size = 4, .shuffle_buffer = 9}); }),
      "are no tar shards"));
}
