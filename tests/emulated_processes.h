// Processes as threads of one: what they send meets in shared memory, where a process that does
// other work than the rest is found out.
#pragma once
#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/core/collective.h"

namespace passband::testing {

// Where the processes meet: the n-th transfer of one is the n-th of all.
struct EmulatedNetwork {
  struct Meeting {
    std::string kind;  // with its size
    int first = 0;     // who came first
    std::map<int, std::vector<char>> given;
  };
  explicit EmulatedNetwork(int size) : size(size), notes(static_cast<size_t>(size)) {}

  const int size;
  std::mutex mutex;
  std::map<int64_t, Meeting> meetings;
  std::vector<std::deque<std::pair<int, std::string>>> notes;  // by receiver
};

class EmulatedBackend final : public CollectiveBackend {
 public:
  EmulatedBackend(EmulatedNetwork& network, int rank) : network_(network), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return network_.size; }

  Transfer begin_sum(float* values, int64_t count) override { return sum(values, count, "f32"); }
  Transfer begin_sum(double* values, int64_t count) override { return sum(values, count, "f64"); }
  Transfer begin_broadcast(void* bytes, int64_t count) override {
    return begin("broadcast", bytes, count, [=](const auto& given) {
      std::copy_n(given.at(0).data(), count, static_cast<char*>(bytes));
    });
  }
  Transfer begin_exchange(const float* from, float* to, int64_t each) override {
    const int64_t bytes = each * static_cast<int64_t>(sizeof(float));
    return begin("exchange", from, bytes * size(), [=, this](const auto& given) {
      for (const auto& [rank, sent] : given)
        std::memcpy(to + rank * each, sent.data() + rank_ * bytes, static_cast<size_t>(bytes));
    });
  }
  Transfer begin_gather(const float* own, float* to, int64_t each) override {
    const int64_t bytes = each * static_cast<int64_t>(sizeof(float));
    return begin("gather", own, bytes, [=](const auto& given) {
      for (const auto& [rank, sent] : given)
        std::memcpy(to + rank * each, sent.data(), static_cast<size_t>(bytes));
    });
  }
  bool has_ended(Transfer transfer) override {
    if (!transfer) return true;
    const auto open = static_cast<Open*>(transfer);
    const std::lock_guard lock(network_.mutex);
    const auto& given = network_.meetings.at(open->number).given;
    if (std::ssize(given) < network_.size) return false;
    open->take(given);
    delete open;
    return true;
  }
  void post(int to, const std::string& note) override {
    const std::lock_guard lock(network_.mutex);
    network_.notes[static_cast<size_t>(to)].emplace_back(rank_, note);
  }
  int receive(std::string& note) override {
    const std::lock_guard lock(network_.mutex);
    auto& own = network_.notes[static_cast<size_t>(rank_)];
    if (own.empty()) return -1;
    const int from = own.front().first;
    note = own.front().second;
    own.pop_front();
    return from;
  }
  void leave() override {}
  void end_all(int) override { std::abort(); }

 private:
  using Given = std::map<int, std::vector<char>>;
  struct Open {
    int64_t number;
    std::function<void(const Given&)> take;
  };

  Transfer begin(const std::string& what, const void* bytes, int64_t count,
                 std::function<void(const Given&)> take) {
    const std::string kind = what + " of " + std::to_string(count) + " bytes";
    const std::lock_guard lock(network_.mutex);
    EmulatedNetwork::Meeting& meeting = network_.meetings[next_];
    if (meeting.given.empty()) meeting.kind = kind, meeting.first = rank_;
    if (meeting.kind != kind)
      throw std::runtime_error("rank " + std::to_string(rank_) + " came for a " + kind +
                               " where rank " + std::to_string(meeting.first) + " came for a " +
                               meeting.kind);
    const auto first = static_cast<const char*>(bytes);
    meeting.given[rank_].assign(first, first + count);
    return new Open{next_++, std::move(take)};
  }

  // In the order of the ranks.
  template <class T> Transfer sum(T* values, int64_t count, const char* type) {
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    return begin(std::string("sum in ") + type, values, bytes, [=](const Given& given) {
      std::fill_n(values, count, T(0));
      std::vector<T> one(static_cast<size_t>(count));
      for (const auto& [rank, sent] : given) {
        std::memcpy(one.data(), sent.data(), static_cast<size_t>(bytes));
        for (int64_t i = 0; i < count; ++i) values[i] += one[static_cast<size_t>(i)];
      }
    });
  }

  EmulatedNetwork& network_;
  int rank_;
  int64_t next_ = 0;
};

// Calls work(rank) in each of `count` processes; what each of them ended with, empty for no error.
inline std::vector<std::string> run_processes(int count, const std::function<void(int)>& work,
                                              double stall_limit = 20) {
  EmulatedNetwork network(count);
  std::vector<std::string> errors(static_cast<size_t>(count));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      EmulatedBackend backend(network, rank);
      use_backend(&backend);
      set_stall_limit(stall_limit);
      try {
        work(rank);
      } catch (const std::exception& error) {
        errors[static_cast<size_t>(rank)] = error.what();
      }
      use_backend(nullptr);
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace passband::testing
