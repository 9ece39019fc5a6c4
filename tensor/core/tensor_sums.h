// Sums of tensors over the processes, where the tensors lie: on the processor by MPI, on GPUs by
// NCCL, in the order of the device's work, which may be recorded.
#pragma once
#include "tensor/core/collective.h"
#include "tensor/core/tensor.h"

namespace passband {

// Before the first sum on a GPU: all processes together, each with a GPU of its own in use. Throws
// UsageError where there is no NCCL, or it can not reach the others.
void join_devices(Device device);
// After a process was lost: the device waits for no sum any more, and there is none.
void abandon_sums(Device device);

// A sum of f32 that is under way, in memory that must stay. On a GPU the host waits for nothing:
// work that is given to the device after `wait` comes after the sum.
class TensorSum {
 public:
  // Moves the transfer on, without waiting. Whether the host could see that it is there.
  bool advance();
  void wait();

 private:
  friend TensorSum begin_sum(const Tensor& values);
  PendingSum on_host_;
  Device device_;
};
TensorSum begin_sum(const Tensor& values);

// values (f32 on a GPU, or f64) becomes the sum over the processes.
void sum_over_processes(const Tensor& values);

namespace cpu {
void join_devices();
void abandon_sums();
void begin_device_sum(const Tensor& values);
void finish_device_sums();
}  // namespace cpu
namespace cuda {
void join_devices();
void abandon_sums();
// On a stream of its own, after what the compute stream was given.
void begin_device_sum(const Tensor& values);
// What the compute stream is given from now on waits for all sums that were begun.
void finish_device_sums();
}  // namespace cuda

}  // namespace passband
