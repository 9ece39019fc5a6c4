// Runs peer_torch.py on the weights and the batch of our first step.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "experiments/bench/bench.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"

namespace passband::bench {
namespace {

// Standard output of a program, and whether it ended well. No shell is involved.
std::pair<std::string, bool> output_of(const std::vector<std::string>& command) {
  int ends[2];
  CHECK(pipe(ends) == 0, "bench: no pipe for ", command[0]);
  const pid_t child = fork();
  CHECK(child >= 0, "bench: can not start ", command[0]);
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    std::vector<char*> arguments;
    for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  std::string text;
  char block[4096];
  for (ssize_t n; (n = read(ends[0], block, sizeof block)) > 0;)
    text.append(block, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return {text, WIFEXITED(status) && WEXITSTATUS(status) == 0};
}

std::string script() {
  return (std::filesystem::path(__FILE__).parent_path() / "peer_torch.py").string();
}

// What the losses of the first step may differ by, relative to ours.
double tolerance_of(const std::string& precision) {
  if (precision == "bf16") return 2e-2;
  return precision == "tf32" ? 2e-3 : 1e-5;
}

// Takes the times from a mode that does not compute what we do.
void check_first_loss(Json& mode, double ours, double tolerance) {
  if (mode.contains("message")) return;
  const double theirs = mode["losses"][0].get<double>();
  if (std::abs(theirs - ours) <= tolerance * std::abs(ours)) return;
  for (const char* key : {"step_ms", "step_ms_median", "step_ms_max"}) mode.erase(key);
  mode["message"] = fmt::format(
      "no comparison: losses of step 1 differ: PyTorch {:.7f}, ours {:.7f} (allowed {:g} of it)",
      theirs, ours, tolerance);
}

}  // namespace

Json run_peer(const Options& options, const std::string& weights,
              const std::vector<double>& losses) {
  const char* given = std::getenv("PASSBAND_PYTHON");
  const std::string python = given && *given ? given : "python3";
  std::vector<std::string> command = {
      python,        script(),
      "--weights",   weights,
      "--batch",     weights + ".batch",
      "--precision", options.precision,
      "--steps",     std::to_string(options.steps),
      "--warm-up",   std::to_string(losses.size()),
      "--threads",   std::to_string(thread_count()),
      "--device",    measures_gpu() ? "cuda:" + std::to_string(measured_device.index) : "cpu"};
  if (options.autotune) command.emplace_back("--autotune");
  if (!options.peer_modes.empty()) {
    command.emplace_back("--modes");
    command.push_back(options.peer_modes);
  }
  const auto [text, ok] = output_of(command);
  const size_t last = text.rfind("\n{");  // compilers print what they like before
  Json result =
      Json::parse(last == std::string::npos ? text : text.substr(last + 1), nullptr, false);
  if (!ok || result.is_discarded())
    return {
        {"message", "no comparison: " + python + " failed (PASSBAND_PYTHON names another Python)"}};
  if (!result.contains("modes")) return result;
  for (Json& mode : result["modes"])
    check_first_loss(mode, losses[0], tolerance_of(options.precision));
  return result;
}

}  // namespace passband::bench
