// Tables for people.
#include <fmt/format.h>

#include "experiments/bench/bench.h"

namespace passband::bench {

void print_operations(const Json& result) {
  static bool titled = false;
  if (!titled)
    fmt::print("{:<26} {:<34} {:<5} {:>10} {:>18} {:>10}\n", "operation", "shape", "type", "ms",
               "rate", "of peak");
  titled = true;
  for (const Json& row : result.at("results")) {
    const bool compute = row.contains("gflops");
    const std::string rate = compute
                                 ? fmt::format("{:.0f} GFLOP/s", row["gflops"].get<double>())
                                 : fmt::format("{:.1f} GB/s", row["gbytes_per_s"].get<double>());
    fmt::print("{:<26} {:<34} {:<5} {:>10.3f} {:>18} {:>8.0f} %\n", row["op"].get<std::string>(),
               row["shape"].get<std::string>(), row["dtype"].get<std::string>(),
               row["ms"].get<double>(), rate, 100 * row["share_of_peak"].get<double>());
  }
  std::fflush(stdout);
}

void print_training(const Json& r) {
  fmt::print(
      "{} {}, batch {}, {}x{}, {} threads: {:.1f} images/s ({:.1f} median), {:.0f} ms a step\n",
      r["model"].get<std::string>(), r["precision"].get<std::string>(),
      r["batch_size"].get<int64_t>(), r["img_size"].get<int64_t>(), r["img_size"].get<int64_t>(),
      r["threads"].get<int>(), r["images_per_s"].get<double>(),
      r["images_per_s_median"].get<double>(), r["step_ms"].get<double>());
  fmt::print("  {:.0f} GFLOP/s = {:.1f} % of the {:.0f} GFLOP/s of {}\n", r["gflops"].get<double>(),
             100 * r["share_of_peak"].get<double>(), r["peak_gflops"].get<double>(),
             r["peak_of"].get<std::string>());
  if (r.contains("matrix_peak_gflops"))
    fmt::print("  {:.1f} % of the {:.0f} GFLOP/s of the matrix unit\n",
               100 * r["share_of_matrix_peak"].get<double>(),
               r["matrix_peak_gflops"].get<double>());
  if (r.contains("profile"))
    for (const Json& row : r["profile"])
      fmt::print("  {:<28} {:>6} calls {:>10.2f} ms\n", row["kernel"].get<std::string>(),
                 row["calls"].get<int64_t>(), row["ms"].get<double>());
  if (!r.contains("peer")) return;
  const Json& peer = r["peer"];
  if (!peer.contains("modes")) {
    fmt::print("  {}\n", peer["message"].get<std::string>());
    return;
  }
  fmt::print("  PyTorch {} ({}), first loss of ours {:.7f}:\n", peer["torch"].get<std::string>(),
             peer["blas"].get<std::string>(), r["losses"][0].get<double>());
  for (const Json& mode : peer["modes"]) {
    const std::string name = mode["mode"].get<std::string>();
    if (mode.contains("message"))
      fmt::print("  {:<16} {}\n", name, mode["message"].get<std::string>());
    else
      fmt::print("  {:<16} {:.2f} ms a step, {:.2f} times ours; first loss {:.7f}\n", name,
                 mode["step_ms"].get<double>(), mode["ratio"].get<double>(),
                 mode["losses"][0].get<double>());
  }
}

}  // namespace passband::bench
