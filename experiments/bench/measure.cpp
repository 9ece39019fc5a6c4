// Timing of single calls, and the cases of --op between measurements of the machine's peaks.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "experiments/bench/bench.h"
#include "experiments/bench/peak.h"
#include "tensor/core/kernel_source.h"
#include "tensor/core/parallel.h"
#include "tensor/core/text.h"
#include "tensor/device_choice.h"

namespace passband::bench {
namespace {

// Peaks around one case: the better of before and after, as a neighbour may take the machine for a
// moment.
struct Sentinel {
  Sentinel(const Case& c, const std::string& precision)
      : compute(c.flop > 0), dtype(c.dtype), precision(precision) {
    sample();
  }
  void sample() {
    if (measured_device.is_cuda()) {
      if (compute) vector = device_product_rate(precision);
      else bandwidth = device_copy_bandwidth();
      return;
    }
    const double f32 = f32_peak(0.01);
    vector = std::max({vector, f32, compute && dtype == DType::bf16 ? bf16_peak(0.01) : 0.0});
    if (compute && dtype == DType::bf16) matrix = std::max(matrix, matrix_peak(0.01));
    if (!compute) bandwidth = std::max(bandwidth, triad_bandwidth());
  }
  bool compute;
  DType dtype;
  std::string precision;
  double vector = 0, matrix = 0, bandwidth = 0;
};

Json row_of(const Case& c, const std::string& precision) {
  Sentinel sentinel(c, precision);
  const Timing time = measure(c.run);
  sentinel.sample();
  Json row = {{"op", c.op},
              {"shape", c.shape},
              {"dtype", precision},
              {"ms", round_to(time.min_ms, 1e-4)},
              {"ms_median", round_to(time.median_ms, 1e-4)},
              {"n", time.repeats}};
  if (c.flop > 0) {
    const double rate = c.flop / time.min_ms / 1e6;
    row["gflops"] = round_to(rate, 0.1);
    row["peak_gflops"] = round_to(sentinel.vector, 0.1);
    row["share_of_peak"] = round_to(rate / sentinel.vector, 1e-3);
    if (sentinel.matrix > 0) row["matrix_peak_gflops"] = round_to(sentinel.matrix, 0.1);
  } else {
    const double rate = c.bytes / time.min_ms / 1e6;
    row["gbytes_per_s"] = round_to(rate, 0.01);
    row["peak_gbytes_per_s"] = round_to(sentinel.bandwidth, 0.01);
    row["share_of_peak"] = round_to(rate / sentinel.bandwidth, 1e-3);
  }
  return row;
}

// What --precision leaves to measure. Only products know tf32.
std::vector<std::string> precisions(const Options& options) {
  if (!options.precision.empty()) return {options.precision};
  if (measured_device.is_cuda()) return {"f32", "tf32", "bf16"};
  return {"f32", "bf16"};
}

}  // namespace

bool measures_gpu() { return measured_device.is_cuda() && cuda_backend() == CudaBackend::native; }

DType use_precision(const std::string& precision) {
  allow_tf32(precision == "tf32");
  return precision == "bf16" ? DType::bf16 : DType::f32;
}

double round_to(double value, double unit) { return std::round(value / unit) * unit; }

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Timing measure(const std::function<void()>& f, double seconds) {
  constexpr size_t kLeast = 3;
  const int calls = measures_gpu() ? 20 : 1;
  f();
  synchronize(measured_device);
  std::vector<double> times;
  for (const double end = now() + seconds; times.size() < kLeast || now() < end;) {
    const double begin = now();
    for (int i = 0; i < calls; ++i) f();
    synchronize(measured_device);
    times.push_back((now() - begin) * 1e3 / calls);
  }
  return {std::ranges::min(times), median(times), static_cast<int64_t>(times.size())};
}

Json run_operations(const Options& options) {
  const std::vector<std::string> known = operation_names();
  if (options.op != "all" && std::ranges::find(known, options.op) == known.end())
    throw UsageError("--op: no operation " + passband::quote(options.op) + "; there are all, " +
                     join(known) + did_you_mean(options.op, known));
  Json rows = Json::array();
  for (const std::string& op : known) {
    if (options.op != "all" && options.op != op) continue;
    for (const std::string& precision : precisions(options)) {
      for (const Case& c : operation_cases(op, use_precision(precision), options.batch_size)) {
        if (c.flop == 0 && precision == "tf32") continue;
        rows.push_back(row_of(c, precision));
        if (!options.json) print_operations({{"results", {rows.back()}}});
      }
    }
  }
  if (measured_device.is_cuda())
    return {{"device", describe_device(measured_device)},
            {"copy_gbytes_per_s", round_to(device_copy_bandwidth(), 0.01)},
            {"engine", options.engine},
            {"product_gflops_bf16", round_to(device_product_rate("bf16"), 0.1)},
            {"product_gflops_tf32", round_to(device_product_rate("tf32"), 0.1)},
            {"product_gflops_f32", round_to(device_product_rate("f32"), 0.1)},
            {"results", rows}};
  return {{"threads", thread_count()},
          {"copy_gbytes_per_s", round_to(copy_bandwidth(), 0.01)},
          {"triad_gbytes_per_s", round_to(triad_bandwidth(), 0.01)},
          {"results", rows}};
}

}  // namespace passband::bench
