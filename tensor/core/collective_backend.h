// What carries numbers between processes: MPI, in a module of its own (tensor/mpi/), or what stands
// in for it in a test.
#pragma once
#include <cstdint>
#include <string>

namespace passband {

// All processes begin the same transfers in the same order. Errors are thrown as
// std::runtime_error.
class CollectiveBackend {
 public:
  using Transfer = void*;  // that has begun; null: it has ended already

  virtual ~CollectiveBackend() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // In place: values[i] becomes the sum over the processes.
  virtual Transfer begin_sum(float* values, int64_t count) = 0;
  virtual Transfer begin_sum(double* values, int64_t count) = 0;
  // Of process 0.
  virtual Transfer begin_broadcast(void* bytes, int64_t count) = 0;
  // to[p * each + i] becomes from[rank() * each + i] of process p.
  virtual Transfer begin_exchange(const float* from, float* to, int64_t each) = 0;
  // to[p * each + i] becomes own[i] of process p.
  virtual Transfer begin_gather(const float* own, float* to, int64_t each) = 0;
  // Moves a transfer on. One that has ended is forgotten.
  virtual bool has_ended(Transfer transfer) = 0;

  // A note to one process, which looks for it when it likes.
  virtual void post(int to, const std::string& note) = 0;
  // The rank of whom a note has come from, or -1.
  virtual int receive(std::string& note) = 0;

  // When all have nothing left to do.
  virtual void leave() = 0;
  // Ends all processes.
  [[noreturn]] virtual void end_all(int code) = 0;
};

// What a module of this interface has: `passband_join` starts it, once, in a process that a
// launcher has started; `passband_library` names what it stands on.
using JoinFunction = CollectiveBackend* (*)();
using LibraryFunction = const char* (*)();
inline constexpr const char* kJoinFunction = "passband_join";
inline constexpr const char* kLibraryFunction = "passband_library";

}  // namespace passband
