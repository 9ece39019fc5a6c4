// Runs every step of the ladders under the memory checker, in several schedules: values, races,
// memory that nobody has written.
#include <cstdio>
#include <exception>

#include <cuda_emulator/controls.h>

#include "experiments/ladder/steps.h"

int main() {
  int wrong = 0;
  for (const ladder::Ladder& ladder : ladder::all_ladders(/*small=*/true))
    for (const ladder::Step& step : ladder.steps) {
      double error = 0;
      const char* trouble = "differs from the operation";
      std::string message;
      try {
        passband::emulator::for_each_schedule(
            1, [&] { error = std::max(error, ladder::worst_error(ladder, step.run())); });
      } catch (const std::exception& fault) {
        message = fault.what();
        trouble = message.c_str();
      }
      if (message.empty() && error <= step.tolerance) continue;
      std::printf("%s, %s: %s (error %.1e)\n", ladder.operation.c_str(), step.name.c_str(), trouble,
                  error);
      ++wrong;
    }
  std::printf("%d steps are wrong\n", wrong);
  return wrong == 0 ? 0 : 1;
}
