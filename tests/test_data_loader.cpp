// The batch stream: epochs, resuming, prefetching, errors and clean ends.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include "data/loader.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;

namespace {

bool same(const Batch& a, const Batch& b) {
  return a.images.values() == b.images.values() && a.labels == b.labels && a.indices == b.indices &&
         a.size == b.size && a.epoch == b.epoch && a.step == b.step;
}

std::vector<Batch> take(BatchLoader& loader, int count) {
  std::vector<Batch> batches;
  for (int i = 0; i < count; ++i) batches.push_back(loader.next());
  return batches;
}

}  // namespace

TEST_CASE("an epoch order is a permutation that depends on seed and epoch") {
  const std::vector<int64_t> order = epoch_order(1000, 5, 2);
  std::vector<int64_t> sorted = order;
  std::ranges::sort(sorted);
  for (int64_t i = 0; i < 1000; ++i) CHECK(sorted[i] == i);
  CHECK(order == epoch_order(1000, 5, 2));
  CHECK(order != epoch_order(1000, 5, 3));
  CHECK(order != epoch_order(1000, 6, 2));
}

TEST_CASE("every element of a shuffled epoch is equally likely in the first place") {
  std::vector<int> seen(10);
  for (int64_t epoch = 0; epoch < 5000; ++epoch) ++seen[epoch_order(10, 1, epoch)[0]];
  for (const int n : seen) CHECK(std::abs(n - 500) < 90);  // 4 standard deviations
}

TEST_CASE("each epoch visits every picture once, the last batch being the remainder") {
  const Dataset data = counting_dataset(23, 8, 8);
  BatchLoader loader(data, {.batch_size = 5});
  CHECK(loader.batches_per_epoch() == 5);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::set<int64_t> visited;
    for (int64_t step = 0; step < 5; ++step) {
      CHECK(loader.position() == BatchLoader::Position{epoch, step});
      const Batch& batch = loader.next();
      CHECK(batch.epoch == epoch);
      CHECK(batch.step == step);
      CHECK(batch.size == (step == 4 ? 3 : 5));
      CHECK(batch.images.shape() == Shape{batch.size, 8, 8, 3});
      for (int64_t i = 0; i < batch.size; ++i) {
        visited.insert(batch.indices[i]);
        CHECK(batch.labels[i] == data.labels[batch.indices[i]]);
      }
    }
    CHECK(visited.size() == 23);
  }
}

TEST_CASE("drop_last leaves out the incomplete batch") {
  const Dataset data = counting_dataset(23, 8, 8);
  BatchLoader loader(data, {.batch_size = 5, .drop_last = true});
  CHECK(loader.batches_per_epoch() == 4);
  for (const Batch& batch : take(loader, 9)) CHECK(batch.size == 5);
  CHECK(loader.position() == BatchLoader::Position{2, 1});
}

TEST_CASE("evaluation keeps the stored order and repeats the same batches each epoch") {
  const Dataset data = counting_dataset(10, 8, 8);
  BatchLoader loader(data, {.batch_size = 4, .train = false});
  const std::vector<Batch> batches = take(loader, 6);
  CHECK(batches[0].indices == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(batches[2].indices == std::vector<int64_t>{8, 9});
  for (int i = 0; i < 3; ++i) CHECK(batches[i].images.values() == batches[i + 3].images.values());
}

TEST_CASE("a stream resumed at any position equals the uninterrupted one, prefetched or not") {
  const Dataset data = counting_dataset(23, 12, 12);
  const LoaderOptions options{.batch_size = 5, .augment = {.cutout = 4}, .seed = 9};
  BatchLoader whole(data, options);
  const std::vector<Batch> reference = take(whole, 14);
  LoaderOptions direct = options;
  direct.prefetch = false;
  direct.threads = 2;
  for (int64_t start = 0; start < 12; ++start) {
    BatchLoader prefetched(data, options), immediate(data, direct);
    prefetched.seek({start / 5, start % 5});
    immediate.seek({start / 5, start % 5});
    for (int64_t i = start; i < start + 2; ++i) {
      CHECK(same(prefetched.next(), reference[i]));
      CHECK(same(immediate.next(), reference[i]));
    }
  }
}

TEST_CASE("seeking back and forth within one loader returns the same batches") {
  const Dataset data = counting_dataset(40, 8, 8);
  BatchLoader loader(data, {.batch_size = 4});
  const std::vector<Batch> reference = take(loader, 25);
  for (int trial = 0; trial < 100; ++trial) {
    const int at = trial * 7 % 24;
    loader.seek({at / 10, at % 10});
    if (trial % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
    CHECK(same(loader.next(), reference[at]));
    if (trial % 2) CHECK(same(loader.next(), reference[at + 1]));
  }
}

TEST_CASE("loaders start and stop at any moment without hanging") {
  const Dataset data = counting_dataset(64, 32, 32);
  for (int trial = 0; trial < 300; ++trial) {
    BatchLoader loader(data, {.batch_size = 16});
    for (int i = 0; i < trial % 4; ++i) loader.next();
    if (trial % 5 == 0) loader.seek({3, 1});
    if (trial % 7 == 0) std::this_thread::sleep_for(std::chrono::microseconds(trial));
  }
}

TEST_CASE(
    "an error while a batch is made reaches the caller of next, again and again, until a seek") {
  const Dataset data = counting_dataset(20, 8, 8);
  for (const bool prefetch : {true, false}) {
    BatchLoader loader(
        data, {.batch_size = 4, .image_size = 9, .augment = {.pad = 0}, .prefetch = prefetch});
    for (int i = 0; i < 3; ++i)
      CHECK(contains(message_of<UsageError>([&] { loader.next(); }),
                     "pictures of 8 pixels are too small"));
    CHECK(loader.position() == BatchLoader::Position{0, 0});
    loader.seek({1, 2});
    CHECK_THROWS_AS(loader.next(), UsageError);
  }
}

TEST_CASE("loaders that cannot work are refused") {
  const Dataset data = counting_dataset(20, 8, 8);
  CHECK(contains(message_of<UsageError>([&] { BatchLoader(data, {.batch_size = 0}); }),
                 "batch size is 0"));
  CHECK(contains(
      message_of<UsageError>([&] { BatchLoader(data, {.batch_size = 21, .drop_last = true}); }),
      "holds only 20 pictures"));
  CHECK(contains(
      message_of<UsageError>([&] { BatchLoader(Dataset{.name = "none", .split = "test"}, {}); }),
      "none (test): holds no pictures"));
  BatchLoader loader(data, {.batch_size = 4});
  CHECK(contains(message_of<UsageError>([&] {
                   loader.seek({0, 5});
                 }),
                 "no step 5 in epoch 0 of 5 batches"));
}
