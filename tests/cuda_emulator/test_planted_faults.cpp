// Every planted fault is reported, by its name, in each build that can see it; sound programs are
// not.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>

#include "tests/cuda_emulator/controls.h"
#include "tests/cuda_emulator/planted_faults.h"

using namespace passband;
using namespace passband::testing;

namespace {

#if defined(__SANITIZE_ADDRESS__)
const char* expected(const PlantedFault& fault) { return fault.address; }
#elif defined(PASSBAND_CHECKED_KERNELS)
const char* expected(const PlantedFault& fault) { return fault.checked; }
#else
const char* expected(const PlantedFault& fault) { return fault.plain; }
#endif

// What there is to say about a program that ran under all schedules; empty if nothing.
std::string verdict(const std::function<std::vector<float>()>& run) {
  std::vector<float> first;
  bool have_first = false;
  std::string text;
  try {
    emulator::for_each_schedule(3, [&] {
      const std::vector<float> result = run();
      for (const float value : result)
        if (std::isnan(value) && text.empty()) text = kPoisoned;
      if (!have_first) first = result;
      have_first = true;
      const bool equal =
          result.size() == first.size() &&
          (first.empty() || !memcmp(result.data(), first.data(), first.size() * sizeof(float)));
      if (!equal && text.empty()) text = kOrderDependent;
    });
  } catch (const std::exception& error) {
    return error.what();
  }
  return text;
}

// The verdict of a child process: a sanitizer's abort or a crash is a result as well.
std::string verdict_in_child(const PlantedFault& program) {
  int channel[2];
  REQUIRE(pipe(channel) == 0);
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(channel[1], STDERR_FILENO);
    if (!freopen("/dev/null", "w", stdout)) _exit(2);
    emulator::options().deferred_streams = true;
    const std::string text = verdict(program.run);
    if (write(STDERR_FILENO, text.data(), text.size()) < 0) _exit(2);
    _exit(0);
  }
  close(channel[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(channel[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  close(channel[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return text;
}

void check(const PlantedFault& fault) {
  const std::string text = verdict_in_child(fault), wanted = expected(fault);
  CAPTURE(std::string(fault.name));
  CAPTURE(text);
  if (wanted.empty()) CHECK(text.empty());
  else CHECK(text.find(wanted) != std::string::npos);
}

}  // namespace

TEST_CASE("every fault planted in a kernel is reported") {
  for (const PlantedFault& fault : kernel_faults()) check(fault);
  for (const PlantedFault& fault : async_faults()) check(fault);
}

TEST_CASE("every fault planted in host code is reported") {
  for (const PlantedFault& fault : host_faults()) check(fault);
}

TEST_CASE("nothing is said about sound programs") {
  for (const PlantedFault& program : controls()) check(program);
}
