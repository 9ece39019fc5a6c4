// The loader: a worker makes the batch after the one in use and hands it over through one slot.
#include "data/loader.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "tensor/core/error.h"
#include "tensor/core/timeline.h"

namespace passband {
namespace {

std::vector<int64_t> stored_order(int64_t count) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

// Where the rows of a batch of so many that this process makes lie: first row and count.
std::vector<std::pair<int64_t, int64_t>> own_runs(const LoaderOptions& options, int64_t rows) {
  if (!options.share.shared()) return {{0, rows}};
  std::vector<std::pair<int64_t, int64_t>> runs;
  const BatchShare& share = options.share;
  for (int64_t part = 0; part < options.parts; ++part) {
    runs.emplace_back(part * share.whole + share.low, share.low_count);
    if (share.high_count > 0) runs.emplace_back(part * share.whole + share.high, share.high_count);
  }
  return runs;
}

}  // namespace

std::vector<int64_t> epoch_order(int64_t count, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order = stored_order(count);
  RandomSequence random({seed, static_cast<uint64_t>(epoch), site_of("loader.order")});
  for (int64_t i = count - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  return order;
}

BatchLoader::BatchLoader(const Dataset& dataset, LoaderOptions options)
    : dataset_(dataset), options_(options) {
  if (options_.image_size == 0) options_.image_size = std::min(dataset.height, dataset.width);
  const int64_t batch = options_.batch_size;
  if (batch < 1) throw UsageError(concat_text("batch size is ", batch, "; it must be at least 1"));
  if (dataset.count < 1)
    throw UsageError(concat_text(dataset.name, " (", dataset.split, "): holds no pictures"));
  CHECK(!options_.share.shared() || options_.share.whole * options_.parts == batch,
        "loader: a share of ", options_.share.whole, " rows in ", options_.parts,
        " parts is none of a batch of ", batch);
  if (options_.drop_last && dataset.count < batch)
    throw UsageError(concat_text("batch size is ", batch, " but ", dataset.name, " (",
                                 dataset.split, ") holds only ", dataset.count,
                                 " pictures; choose a smaller one"));
  if (options_.shuffle_buffer < 0)
    throw UsageError(concat_text("shuffle buffer is ", options_.shuffle_buffer,
                                 " pictures; it must be 0 (an order of all) or more"));
  if (options_.shuffle_buffer > 0 && (!dataset.streamed() || dataset.files.shard(0) < 0))
    throw UsageError(concat_text("shuffle buffer: ", dataset.name,
                                 " are no tar shards, whose reading it puts in order; give 0, or "
                                 "pack a folder first (./train --pack FOLDER OUT)"));
  batches_per_epoch_ =
      options_.drop_last ? dataset.count / batch : (dataset.count + batch - 1) / batch;
  if (options_.prefetch) worker_ = std::jthread([this](std::stop_token stop) { work(stop); });
}

BatchLoader::~BatchLoader() = default;

BatchLoader::Position BatchLoader::after(Position at) const {
  return at.step + 1 < batches_per_epoch_ ? Position{at.epoch, at.step + 1}
                                          : Position{at.epoch + 1, 0};
}

ShuffleBuffer BatchLoader::shuffle_buffer() const {
  return {.pictures = options_.shuffle_buffer,
          .batch_rows = options_.batch_size / options_.parts,
          .repeats = options_.augment.repeats};
}

// How often this process shows the picture at each place of an epoch, from a step on.
std::vector<uint8_t> BatchLoader::uses_from(int64_t first_step) const {
  std::vector<uint8_t> uses(static_cast<size_t>(dataset_.count));
  for (int64_t step = first_step; step < batches_per_epoch_; ++step) {
    const int64_t begin = step * options_.batch_size;
    const int64_t rows = std::min(options_.batch_size, dataset_.count - begin);
    for (const auto& [first, count] : own_runs(options_, rows))
      for (int64_t i = begin + first; i < begin + first + count; ++i)
        ++uses[static_cast<size_t>(i / options_.augment.repeats)];
  }
  return uses;
}

// Brings the order, and the stream of what is read ahead, to where a batch stands.
void BatchLoader::find_order(Position at) {
  const bool by_shards = options_.train && options_.shuffle_buffer > 0;
  if (by_shards && options_.pixels && (!stream_ || stream_at_ != at)) {
    stream_.reset();
    stream_ = std::make_unique<ShardStream>(
        dataset_.files, shuffle_buffer(), options_.seed,
        [this](int64_t step) { return uses_from(step); }, at.epoch, at.step);
    stream_at_ = at;
    order_epoch_ = -1;
  }
  if (order_epoch_ == at.epoch) return;
  if (stream_) order_ = stream_->order(at.epoch);
  else
    order_ = std::make_shared<const std::vector<int64_t>>(
        !options_.train ? stored_order(dataset_.count)
        : by_shards
            ? order_by_shards(dataset_.files, shuffle_buffer(), options_.seed, at.epoch).shown
            : epoch_order(dataset_.count, options_.seed, at.epoch));
  order_epoch_ = at.epoch;
}

void BatchLoader::make(Position at, Batch& batch) {
  find_order(at);
  const int64_t begin = at.step * options_.batch_size;
  const int64_t end = std::min(begin + options_.batch_size, dataset_.count);
  const int64_t repeats = options_.train ? options_.augment.repeats : 1;
  runs_ = own_runs(options_, end - begin);
  batch.indices.clear();
  for (const auto& [first, count] : runs_)
    for (int64_t i = begin + first; i < begin + first + count; ++i)
      batch.indices.push_back((*order_)[i / repeats]);
  batch.size = std::ssize(batch.indices);
  batch.epoch = at.epoch;
  batch.step = at.step;
  batch.labels.resize(batch.size);
  std::ranges::transform(batch.indices, batch.labels.begin(),
                         [&](int64_t index) { return dataset_.labels[index]; });
  if (options_.pixels) make_images(batch, begin);
}

// `begin`: how many pictures of the epoch come before the batch.
void BatchLoader::make_images(Batch& batch, int64_t begin) {
  const int64_t side = options_.image_size;
  const Shape shape{batch.size, side, side, 3};
  const bool reused = batch.images && batch.images.is_sole_owner() && batch.images.shape() == shape;
  if (!reused) batch.images = Tensor::empty(shape);
  float* const images = batch.images.data<float>();
  if (!options_.train)
    return make_eval_batch(dataset_, batch.indices, side, images, options_.threads);
  std::vector<std::vector<uint8_t>> contents;
  if (stream_) {
    stream_at_ = {-1, 0};  // nowhere, if one cannot be read
    for (const int64_t index : batch.indices) contents.push_back(stream_->take(batch.epoch, index));
    stream_at_ = after({batch.epoch, batch.step});
  }
  size_t made = 0;
  for (const auto& [first, count] : runs_) {
    const auto indices = std::span(batch.indices).subspan(made, static_cast<size_t>(count));
    const auto own = stream_ ? std::span(contents).subspan(made, indices.size())
                             : std::span<std::vector<uint8_t>>();
    make_train_batch(dataset_, indices, options_.augment, augment_key(options_.seed, batch.epoch),
                     side, images + static_cast<int64_t>(made) * side * side * 3, options_.threads,
                     begin + first, own);
    made += indices.size();
  }
}

void BatchLoader::work(std::stop_token stop) {
  Batch batch;
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&] { return !ready_; })) {
    const Position at = wanted_;
    const uint64_t generation = generation_;
    std::exception_ptr failure;
    lock.unlock();
    try {
      const SpanTimer making(Activity::loader);
      make(at, batch);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (generation != generation_) continue;  // a seek came in between
    std::swap(batch, spare_);
    failure_ = failure;
    wanted_ = after(at);
    ready_ = true;
    changed_.notify_all();
  }
}

const Batch& BatchLoader::next() {
  if (!options_.prefetch) {
    make(position_, current_);
  } else {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready_; });
    // stays: until a seek, there is no batch to go on with
    if (failure_) std::rethrow_exception(failure_);
    std::swap(current_, spare_);
    ready_ = false;
    changed_.notify_all();
  }
  position_ = after(position_);
  return current_;
}

void BatchLoader::seek(Position position) {
  if (position.epoch < 0 || position.step < 0 || position.step >= batches_per_epoch_)
    throw UsageError(concat_text("loader: there is no step ", position.step, " in epoch ",
                                 position.epoch, " of ", batches_per_epoch_,
                                 " batches; was the run saved with another batch size?"));
  position_ = position;
  const std::lock_guard lock(mutex_);
  ++generation_;
  wanted_ = position;
  ready_ = false;
  failure_ = nullptr;
  changed_.notify_all();
}

}  // namespace passband
