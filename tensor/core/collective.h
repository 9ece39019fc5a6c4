// Processes that train together, each with a share of every batch, and what passes between them.
// They are started by mpirun, srun or `train --processes`; without any of these there is one, and
// everything here returns at once. One thread of a process calls these functions, and all processes
// call the same ones in the same order.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/core/collective_backend.h"
#include "tensor/core/error.h"

namespace passband {

// A training of several processes ends before its time: one of them died, hangs, or met an error.
// The text names process, host and reason. Every function below that waits for others throws it.
class ProcessLost : public Error {
 public:
  static constexpr int kCode = 6;
  explicit ProcessLost(const std::string& text, int code = kCode) : Error(text), code_(code) {}
  int code() const { return code_; }  // to exit with

 private:
  int code_;
};

// Joins the processes that a launcher has started, as its variables in the environment say; before
// any other function, once. Throws UsageError where there are others and no way to reach them.
void join_processes();
// Whether a launcher has started this process, alone or with others.
bool started_by_launcher();
// "Open MPI 4.1.4": what can carry numbers between processes here, as far as it is built and loads.
std::vector<std::string> libraries_of_processes();

// Which of the processes this is, and how many there are.
int process_rank();
int process_count();
// Processes on this one's host.
int processes_here();
// Of these, how many have a lower rank.
int rank_here();
// "rank 1 of 4 (host node7)"
std::string process_name(int rank);

// A sum over the processes that is under way, in memory that must stay until it has arrived.
class PendingSum {
 public:
  PendingSum();
  PendingSum(PendingSum&&) noexcept;
  PendingSum& operator=(PendingSum&&) noexcept;
  ~PendingSum();
  // Moves the transfer on, without waiting. Whether the sum is there.
  bool advance();
  void wait();

 private:
  friend PendingSum begin_sum(float* values, int64_t count);
  struct State;
  std::unique_ptr<State> state_;
};

// values[i] becomes the sum of values[i] of all processes, in place, the same bits in each of them.
PendingSum begin_sum(float* values, int64_t count);
void sum_over_processes(double* values, int64_t count);
// The bytes of process 0 come to all.
void broadcast(void* bytes, int64_t count);
void broadcast(std::string& text);
// The numbers of every process, as many in each, by rank.
std::vector<double> rows_of_processes(const std::vector<double>& own);
// The largest value of all processes: thus they agree.
double largest_of_processes(double value);

// From here on sums are added up by one binary tree over the ranks, whatever the backend does.
void add_by_fixed_tree(bool fixed);
// How long to wait for a process that does not come, in seconds; 0, as at first: for ever.
void set_stall_limit(double seconds);
// Asked while waiting: nonzero once somebody wants this process to end. Then the others are waited
// for no longer than a short while.
void set_interruption(std::function<int()> asked);
// Asked while waiting: in words, what is wrong with the devices' sums; empty: nothing. Then all
// end.
void watch_for_trouble(std::function<std::string()> trouble);
// Waits until `has_ended` says so, for work of a device that other processes may hold up.
void wait_with_processes(const std::function<bool()>& has_ended);
// What waiting has cost this process since the last call, in seconds.
double take_waiting_seconds();

// A process that writes files keeps the others waiting for a reason: they are told.
class KeepsOthersWaiting {
 public:
  KeepsOthersWaiting();
  ~KeepsOthersWaiting();
  KeepsOthersWaiting(const KeepsOthersWaiting&) = delete;
  KeepsOthersWaiting& operator=(const KeepsOthersWaiting&) = delete;
};

// One process speaks for all that end, the first one that is still there. Whose error it is tells
// the others, and waits until process 0 has spoken, half a minute at most: whether this one has to.
bool must_say(const std::string& error, int code);
// The same for who was told of the end by ProcessLost.
bool speaks_for_all();
// Ends all processes, this one too; returns where there is one alone.
void end_all_processes(int code);
// The orderly end: returns when all have come here.
void leave_processes();

// Puts a backend in the place of a launcher's, for this thread; null: takes it away.
void use_backend(CollectiveBackend* backend);

}  // namespace passband
