#include "tensor/core/tensor_sums.h"

#include "tensor/core/short_macros.h"

namespace passband {

namespace cpu {
void join_devices() {}
void abandon_sums() {}
void begin_device_sum(const Tensor&) {}
void finish_device_sums() {}
}  // namespace cpu

void join_devices(Device device) {
  if (process_count() > 1) ON_DEVICE(device, join_devices);
}

void abandon_sums(Device device) {
  if (process_count() > 1) ON_DEVICE(device, abandon_sums);
}

bool TensorSum::advance() { return !device_.is_cuda() && on_host_.advance(); }

void TensorSum::wait() {
  if (device_.is_cuda()) ON_DEVICE(device_, finish_device_sums);
  else on_host_.wait();
}

TensorSum begin_sum(const Tensor& values) {
  TensorSum sum;
  if (process_count() == 1 || values.numel() == 0) return sum;
  sum.device_ = values.device();
  if (sum.device_.is_cuda()) {
    ON_DEVICE(sum.device_, begin_device_sum, values);
    return sum;
  }
  Tensor memory = values;
  sum.on_host_ = begin_sum(memory.data<float>(), memory.numel());
  return sum;
}

void sum_over_processes(const Tensor& values) {
  if (process_count() == 1 || values.numel() == 0) return;
  Tensor memory = values;
  if (!values.device().is_cuda()) return sum_over_processes(memory.data<double>(), memory.numel());
  ON_DEVICE(values.device(), begin_device_sum, values);
  ON_DEVICE(values.device(), finish_device_sums);
}

}  // namespace passband
