// scale: what a step costs on many machines. `measure` times the sums over the processes of a
// launcher; `simulate` runs the bucket schedule of a measured step on any number of ranks.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "experiments/scale/measured_step.h"
#include "experiments/scale/measurement.h"
#include "tensor/core/collective.h"
#include "tensor/core/error.h"
#include "tensor/core/standard_streams.h"
#include "tensor/core/text.h"

namespace passband::scale {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(examples:
  ./train --model resnet50 --steps 12 --profile          a step of one process: its profile.json
  ./scale simulate profile.json --ranks 8 64 512 --gbyte-per-s 25 --latency-us 10 --jitter 0.02
  ./scale simulate profile.json --compute-seconds 0.037  the same step on a faster machine
  mpirun -n 2 ./scale measure                            what sums cost here
)";

struct SimulationOptions {
  std::string profile, algorithm = "ring", take = "median";
  std::vector<int64_t> ranks = {1, 2, 8, 64, 512};
  int64_t per_host = 8, steps = 200, gradient_bytes = 4;
  double latency = 10, bandwidth = 10, host_latency = 3, host_bandwidth = 100;
  double first_bucket = 1, bucket = 24;
  double jitter = 0, compute = 0, batch_factor = 1;
  uint64_t seed = 1;
  bool json = false;
};

struct MeasurementOptions {
  int64_t most = 64, repeats = 15;
  bool deterministic = false, json = false;
};

void add_simulation(CLI::App& app, SimulationOptions& o) {
  CLI::App& command = *app.add_subcommand("simulate", "steps of a measured network on many ranks");
  command.add_option("profile", o.profile, "of one process: what train --profile wrote")
      ->required();
  const auto number = [&](const char* flag, auto& value, const char* what, double low) {
    command.add_option(flag, value, what)->capture_default_str()->check(CLI::Range(low, 1e18));
  };
  command.add_option("--ranks", o.ranks, "numbers of processes")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command
      .add_option("--algorithm", o.algorithm,
                  "of the sums: ring, tree (halving and doubling), hierarchical, binomial")
      ->capture_default_str()
      ->check(CLI::IsMember({"ring", "tree", "hierarchical", "binomial"}));
  command
      .add_option("--take", o.take,
                  "what stands for the durations of a part: median, or on a busy machine least")
      ->capture_default_str()
      ->check(CLI::IsMember({"median", "least"}));
  number("--latency-us", o.latency, "of a message, in microseconds", 0);
  number("--gbyte-per-s", o.bandwidth, "of a rank's link, each way (NCCL's bus bandwidth)", 1e-9);
  number("--per-host", o.per_host, "hierarchical: ranks of a host", 1);
  number("--host-latency-us", o.host_latency, "hierarchical: of a message within a host", 0);
  number("--host-gbyte-per-s", o.host_bandwidth, "hierarchical: within a host", 1e-9);
  number("--first-bucket-mb", o.first_bucket, "bytes of the first bucket, in 2^20", 0);
  number("--bucket-mb", o.bucket, "of the others", 0);
  number("--gradient-bytes", o.gradient_bytes, "of an element on its way: 4, or 2 for bf16", 1);
  number("--jitter", o.jitter, "mean share by which a rank is late, exponentially distributed", 0);
  number("--compute-seconds", o.compute,
         "seconds of the whole step of one process; its parts keep their shares; 0: as measured",
         0);
  number("--batch-factor", o.batch_factor, "pictures of a rank's step, by the measured ones", 1e-6);
  number("--steps", o.steps, "steps that are simulated", 1);
  number("--seed", o.seed, "of the jitter", 0);
  command.add_flag("--json", o.json, "one JSON document");
}

void add_measurement(CLI::App& app, MeasurementOptions& o) {
  CLI::App& command =
      *app.add_subcommand("measure", "times of sums over the processes that mpirun has started");
  command.add_option("--most-mb", o.most, "the largest sum, in 2^20 bytes")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command.add_option("--repeats", o.repeats, "sums of each size")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  command.add_flag("--deterministic", o.deterministic, "as train --deterministic adds up");
  command.add_flag("--json", o.json, "one JSON document");
}

Algorithm algorithm_of(const std::string& word) {
  if (word == "tree") return Algorithm::tree;
  if (word == "binomial") return Algorithm::binomial;
  return word == "ring" ? Algorithm::ring : Algorithm::hierarchical;
}

int64_t mebibytes(double count) { return static_cast<int64_t>(count * 1048576.0); }

void rescale(StepWork& work, const SimulationOptions& o) {
  const double faster = o.compute > 0 ? o.compute / work.compute() : 1;
  const double passes = faster * o.batch_factor;
  work.forward *= passes;
  work.backward *= passes;
  for (double& ready : work.ready) ready *= passes;
  work.optimiser *= faster;
}

Json simulation_of(const SimulationOptions& o) {
  const MeasuredStep step =
      read_profile(o.profile, o.take == "least" ? Duration::least : Duration::median);
  BucketedWork buckets = in_buckets(step, mebibytes(o.first_bucket), mebibytes(o.bucket));
  rescale(buckets.work, o);
  std::vector<double> bytes;
  for (const int64_t elements : buckets.elements)
    bytes.push_back(static_cast<double>(elements * o.gradient_bytes));
  Json result = {{"model", step.model},
                 {"device", step.device},
                 {"batch_size", static_cast<double>(step.batch_size) * o.batch_factor},
                 {"algorithm", o.algorithm},
                 {"bytes", bytes},
                 {"ready_seconds", buckets.work.ready},
                 {"forward_seconds", buckets.work.forward},
                 {"backward_seconds", buckets.work.backward},
                 {"optimiser_seconds", buckets.work.optimiser},
                 {"ranks", Json::array()}};
  for (const int64_t ranks : o.ranks) {
    const Cluster cluster{.ranks = ranks,
                          .per_host = std::min(ranks, o.per_host),
                          .algorithm = algorithm_of(o.algorithm),
                          .network = {o.latency / 1e6, o.bandwidth * 1e9},
                          .within_host = {o.host_latency / 1e6, o.host_bandwidth * 1e9},
                          .jitter = o.jitter};
    if (cluster.algorithm == Algorithm::hierarchical && ranks % cluster.per_host != 0)
      throw UsageError(fmt::format("--ranks: {} are not whole hosts of {} (--per-host)", ranks,
                                   cluster.per_host));
    const StepTimes t = simulate(cluster, buckets.work, bytes, o.steps, o.seed);
    result["ranks"].push_back({{"ranks", ranks},
                               {"step_seconds", t.mean},
                               {"deviation", t.deviation},
                               {"efficiency", t.efficiency},
                               {"exchange_seconds", t.exchanging},
                               {"exposed_seconds", t.exposed}});
  }
  return result;
}

void print_step(const Json& r) {
  fmt::print("{}, {} pictures a rank and step, measured on {}\n", r["model"].get<std::string>(),
             r["batch_size"].get<double>(), r["device"].get<std::string>());
  fmt::print("forward {:.4g} ms, backward {:.4g} ms, optimiser {:.4g} ms; buckets",
             1e3 * r["forward_seconds"].get<double>(), 1e3 * r["backward_seconds"].get<double>(),
             1e3 * r["optimiser_seconds"].get<double>());
  for (size_t k = 0; k < r["bytes"].size(); ++k)
    fmt::print("{} {:.1f} MB after {:.4g} ms", k == 0 ? "" : ",", r["bytes"][k].get<double>() / 1e6,
               1e3 * r["ready_seconds"][k].get<double>());
  fmt::print("\n\n");
}

void print_simulation(const Json& r) {
  print_step(r);
  fmt::print("  ranks   step ms     s.d.   all-reduce ms   waited for ms   hidden   efficiency\n");
  for (const Json& row : r["ranks"]) {
    const double sums = row["exchange_seconds"], exposed = row["exposed_seconds"];
    fmt::print("{:7}{:10.4g}{:9.3g}{:16.4g}{:16.4g}{:7.0f} %{:11.1f} %\n",
               row["ranks"].get<int64_t>(), 1e3 * row["step_seconds"].get<double>(),
               1e3 * row["deviation"].get<double>(), 1e3 * sums, 1e3 * exposed,
               sums > 0 ? 100 * (1 - exposed / sums) : 100.0,
               100 * row["efficiency"].get<double>());
  }
}

void measure(const MeasurementOptions& o) {
  add_by_fixed_tree(o.deterministic);
  const std::vector<MeasuredSum> sums = measure_sums(o.most << 20, o.repeats);
  const FittedCost cost = fit_cost(sums);
  if (process_rank() > 0) return;
  const double processes = process_count();
  const auto bus = [&](const MeasuredSum& sum) {  // as NCCL's tests tell it
    return 2 * (processes - 1) / processes * static_cast<double>(sum.bytes) / sum.least;
  };
  if (o.json) {
    Json result = {{"processes", process_count()},
                   {"repeats", o.repeats},
                   {"latency_seconds", cost.latency},
                   {"seconds_per_byte", cost.seconds_per_byte},
                   {"sums", Json::array()}};
    for (const MeasuredSum& sum : sums)
      result["sums"].push_back({{"bytes", sum.bytes},
                                {"least", sum.least},
                                {"low", sum.low},
                                {"median", sum.median},
                                {"high", sum.high},
                                {"bus_bytes_per_second", bus(sum)}});
    fmt::print("{}\n", result.dump(1));
    return;
  }
  fmt::print("{} processes, {} of each size; bus GB/s: 2 (p - 1) / p bytes in the least time\n\n",
             process_count(), counted(o.repeats, "sum"));
  fmt::print("      bytes    least ms   median ms    quartiles ms        bus GB/s\n");
  for (const MeasuredSum& sum : sums)
    fmt::print("{:11}{:12.4g}{:12.4g}{:12.4g} {:<8.4g}{:11.4g}\n", sum.bytes, 1e3 * sum.least,
               1e3 * sum.median, 1e3 * sum.low, 1e3 * sum.high, bus(sum) / 1e9);
  fmt::print("\nfitted to the least: {:.4g} ms + bytes / ({:.4g} GB/s)\n", 1e3 * cost.latency,
             cost.seconds_per_byte > 0 ? 1e-9 / cost.seconds_per_byte : 0.0);
}

int run(int argc, char** argv) {
  CLI::App app{"What a training step costs on many machines.", "scale"};
  app.footer(kExamples);
  app.require_subcommand(1);
  SimulationOptions simulation;
  MeasurementOptions measurement;
  add_simulation(app, simulation);
  add_measurement(app, measurement);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    throw UsageError(std::string(error.what()) + "; --help shows all options");
  }
  if (app.got_subcommand("measure")) {
    join_processes();
    measure(measurement);
    leave_processes();
    return code_after_output(0);
  }
  const Json result = simulation_of(simulation);
  if (simulation.json) fmt::print("{}\n", result.dump(1));
  else print_simulation(result);
  return code_after_output(0);
}

int fail(const std::exception& error, int code) {
  if (must_say(error.what(), code)) fmt::print(stderr, "scale: {}\n", error.what());
  end_all_processes(code);
  return code;
}

}  // namespace
}  // namespace passband::scale

int main(int argc, char** argv) {
  using namespace passband;
  prepare_standard_streams();
  try {
    return scale::run(argc, argv);
  } catch (const UsageError& error) {
    return scale::fail(error, 2);
  } catch (const DataError& error) {
    return scale::fail(error, 3);
  } catch (const ProcessLost& error) {
    return scale::fail(error, error.code());
  } catch (const std::exception& error) {
    return scale::fail(error, 1);
  }
}
