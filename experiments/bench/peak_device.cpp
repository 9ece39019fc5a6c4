// What a GPU can do at best: its own copy and a large matrix product.
#include <map>

#include "experiments/bench/bench.h"
#include "experiments/bench/peak.h"
#include "tensor/core/kernel_source.h"
#include "tensor/device_choice.h"
#include "tensor/ops/matmul.h"

namespace passband::bench {
namespace {

bool is_emulated() { return cuda_backend() == CudaBackend::emulated; }

double product_rate_of(KernelSource source, const Tensor& a, const Tensor& b) {
  set_product_kernels(source);
  const auto n = static_cast<double>(a.size(0));
  return 2 * n * n * n / measure([&] { matmul(a, b); }).min_ms / 1e6;
}

}  // namespace

double device_copy_bandwidth() {
  static const double rate = [&] {
    const int64_t bytes = is_emulated() ? 1 << 20 : int64_t{1} << 30;
    const Tensor from = Tensor::zeros({bytes}, DType::u8, measured_device);
    Tensor to = Tensor::empty_like(from);
    return 2 * static_cast<double>(bytes) / measure([&] { to.copy_from(from); }).min_ms / 1e6;
  }();
  return rate;
}

double device_product_rate(const std::string& precision) {
  static std::map<std::string, double> rates;
  if (const auto known = rates.find(precision); known != rates.end()) return known->second;
  const KernelSource source = product_kernels();
  const bool tf32 = tf32_allowed();
  const DType dtype = use_precision(precision);
  const int64_t n = is_emulated() ? 64 : 8192;
  const Tensor a = random_operand({n, n}, dtype), b = random_operand({n, n}, dtype);
  const double rate = std::max(product_rate_of(KernelSource::native, a, b),
                               product_rate_of(KernelSource::library, a, b));
  set_product_kernels(source);
  allow_tf32(tf32);
  return rates[precision] = rate;
}

}  // namespace passband::bench
