#include "data/shard_stream.h"

#include <algorithm>
#include <utility>

#include "data/tar.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

constexpr int64_t kReadBytes = int64_t{4} << 20, kLeastReadBytes = int64_t{1} << 19;
constexpr int64_t kAheadBytes = int64_t{64} << 20;  // of all lanes
constexpr int64_t kMostAhead = 1024, kLeastAhead = 16;
constexpr int64_t kGap = int64_t{64} << 10;  // that is read rather than left out
constexpr size_t kMostThreads = 4;

// The same picture may be held for the end of an epoch and the beginning of the next.
uint64_t key_of(int64_t epoch, int64_t picture) {
  return static_cast<uint64_t>(picture) * 2 + static_cast<uint64_t>(epoch % 2);
}

int64_t mean_bytes(const PictureFiles& files) {
  int64_t total = 0;
  for (int64_t i = 0; i < files.size(); ++i) total += files.bytes(i);
  return std::max<int64_t>(1, total / files.size());
}

}  // namespace

ShardStream::ShardStream(const PictureFiles& files, const ShuffleBuffer& how, uint64_t seed,
                         Uses uses, int64_t epoch, int64_t batch)
    : files_(files),
      how_(how),
      seed_(seed),
      uses_(std::move(uses)),
      first_epoch_(epoch),
      first_batch_(batch),
      shown_epoch_(epoch) {
  lanes_.resize(plan(epoch).read.size(), {.epoch = epoch});
  const int64_t lanes = std::ssize(lanes_);
  buffer_ = lane_buffer(how, lanes);
  longest_read_ = std::clamp(kAheadBytes / lanes, kLeastReadBytes, kReadBytes);
  ahead_ = std::clamp(2 * longest_read_ / mean_bytes(files), kLeastAhead, kMostAhead);
  const size_t threads = std::min(lanes_.size(), kMostThreads);
  for (size_t thread = 0; thread < threads; ++thread)
    threads_.emplace_back([this, thread](std::stop_token stop) { work(thread, std::move(stop)); });
}

ShardStream::~ShardStream() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

const ShardStream::Epoch& ShardStream::plan(int64_t epoch) {
  const auto known = epochs_.find(epoch);
  if (known != epochs_.end()) return known->second;
  ShardOrder order = order_by_shards(files_, how_, seed_, epoch);
  const std::vector<uint8_t> uses = uses_(epoch == first_epoch_ ? first_batch_ : 0);
  Epoch made{.read = std::move(order.read), .uses = std::vector<uint8_t>(uses.size())};
  for (size_t place = 0; place < uses.size(); ++place)
    made.uses[static_cast<size_t>(order.shown[place])] = uses[place];
  for (std::vector<int64_t>& read : made.read)
    std::erase_if(read,
                  [&](int64_t picture) { return made.uses[static_cast<size_t>(picture)] == 0; });
  made.shown = std::make_shared<const std::vector<int64_t>>(std::move(order.shown));
  return epochs_.emplace(epoch, std::move(made)).first->second;
}

std::shared_ptr<const std::vector<int64_t>> ShardStream::order(int64_t epoch) {
  const std::lock_guard lock(mutex_);
  if (epoch > shown_epoch_) {
    shown_epoch_ = epoch;
    std::erase_if(epochs_, [&](const auto& entry) { return entry.first < epoch; });
    changed_.notify_all();
  }
  return plan(epoch).shown;
}

// The lane of the thread that holds the fewest pictures, if it lacks enough of them to be read in
// one piece; null: none does.
ShardStream::Lane* ShardStream::next_lane(size_t thread) {
  Lane* emptiest = nullptr;
  for (size_t i = thread; i < lanes_.size(); i += kMostThreads) {
    Lane& lane = lanes_[i];
    while (lane.epoch <= shown_epoch_ + 1) {
      if (lane.epoch >= shown_epoch_ && lane.next < plan(lane.epoch).read[i].size()) break;
      ++lane.epoch;
      lane.next = 0;
    }
    const bool done = lane.epoch > shown_epoch_ + 1;
    if (done) lane.epoch = shown_epoch_ + 1, lane.next = plan(lane.epoch).read[i].size();
    if (!done && lane.held < least_held() && (!emptiest || lane.held < emptiest->held))
      emptiest = &lane;
  }
  return emptiest;
}

// Those that come next and lie close enough together, one at least.
std::vector<int64_t> ShardStream::next_pictures(Lane& lane) {
  const std::vector<int64_t>& read =
      epochs_.at(lane.epoch).read[static_cast<size_t>(&lane - lanes_.data())];
  std::vector<int64_t> pictures;
  int64_t begin = 0, end = 0;
  while (lane.next < read.size() && lane.held < buffer_ + ahead_) {
    const int64_t picture = read[lane.next], at = files_.offset(picture);
    const int64_t after = at + files_.bytes(picture);
    const bool close =
        pictures.empty() || (files_.shard(picture) == files_.shard(pictures.back()) && at >= end &&
                             at - end <= kGap && after - begin <= longest_read_);
    if (!close) break;
    if (pictures.empty()) begin = at;
    end = after;
    pictures.push_back(picture);
    ++lane.next, ++lane.held;
  }
  return pictures;
}

ShardStream::Held ShardStream::read_alone(int64_t picture) {
  Held held;
  try {
    held.bytes =
        read_file_part(files_.shard_path(picture), files_.offset(picture), files_.bytes(picture));
  } catch (const DataError& error) {
    held.failure = std::make_exception_ptr(
        DataError(concat_text(files_.name(picture), ": unreadable picture: ", error.what())));
  } catch (...) {
    held.failure = std::current_exception();
  }
  return held;
}

// In one piece; where that fails each by itself, so that what can be read is.
std::vector<ShardStream::Held> ShardStream::read(const std::vector<int64_t>& pictures) {
  const int64_t begin = files_.offset(pictures.front());
  const int64_t end = files_.offset(pictures.back()) + files_.bytes(pictures.back());
  std::vector<Held> held(pictures.size());
  try {
    const std::vector<uint8_t> all =
        read_file_part(files_.shard_path(pictures.front()), begin, end - begin);
    for (size_t i = 0; i < held.size(); ++i) {
      const auto from = all.begin() + (files_.offset(pictures[i]) - begin);
      held[i].bytes.assign(from, from + files_.bytes(pictures[i]));
    }
  } catch (const std::exception&) {
    std::ranges::transform(pictures, held.begin(),
                           [this](int64_t picture) { return read_alone(picture); });
  }
  return held;
}

void ShardStream::work(size_t thread, std::stop_token stop) {
  try {
    read_on(thread, std::move(stop));
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    changed_.notify_all();
  }
}

void ShardStream::read_on(size_t thread, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  Lane* lane = nullptr;
  while (changed_.wait(lock, stop, [&] { return (lane = next_lane(thread)) != nullptr; })) {
    const int64_t epoch = lane->epoch;
    const std::vector<int64_t> pictures = next_pictures(*lane);
    lock.unlock();
    std::vector<Held> held = read(pictures);
    lock.lock();
    ++counts_.reads;
    const Epoch& planned = epochs_.at(epoch);
    for (size_t i = 0; i < held.size(); ++i) {
      counts_.bytes += std::ssize(held[i].bytes);
      held[i].lane = static_cast<size_t>(lane - lanes_.data());
      held[i].uses = planned.uses[static_cast<size_t>(pictures[i])];
      held_.emplace(key_of(epoch, pictures[i]), std::move(held[i]));
    }
    counts_.most_held = std::max(counts_.most_held, std::ssize(held_));
    changed_.notify_all();
  }
}

std::vector<uint8_t> ShardStream::take(int64_t epoch, int64_t picture) {
  std::unique_lock lock(mutex_);
  const uint64_t key = key_of(epoch, picture);
  changed_.wait(lock, [&] { return failure_ || held_.contains(key); });
  const auto found = held_.find(key);
  if (found == held_.end()) std::rethrow_exception(failure_);
  Held& held = found->second;
  if (held.failure) std::rethrow_exception(held.failure);
  if (--held.uses > 0) return held.bytes;
  std::vector<uint8_t> bytes = std::move(held.bytes);
  if (--lanes_[held.lane].held < least_held()) changed_.notify_all();
  held_.erase(found);
  return bytes;
}

ShardStream::Counts ShardStream::counts() {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace passband
