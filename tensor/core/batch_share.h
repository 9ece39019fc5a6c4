// BatchShare: the rows of a batch that one of several processes takes.
#pragma once
#include <cstdint>

namespace passband {

// Two runs of rows, the second one the mirror image of the first, so that a row i of a batch of B
// and the row B - 1 - i that mixup pairs it with (nn/mixing.h) go to one process, at places of its
// own batch that mirror each other too. Of an odd batch the last process has the row in the middle.
struct BatchShare {
  int64_t whole = 0;  // rows of the batch; 0: there is one process, and it has all
  int64_t low = 0, low_count = 0;
  int64_t high = 0, high_count = 0;

  int64_t count() const { return low_count + high_count; }
  bool shared() const { return count() < whole; }
  // The row of the whole batch that is the process's row `own`.
  int64_t row(int64_t own) const { return own < low_count ? low + own : high + (own - low_count); }
};

// As even as pairs allow. Process `rank` of `processes`.
inline BatchShare share_of_batch(int64_t rows, int rank, int processes) {
  const int64_t pairs = rows / 2, begin = pairs * rank / processes,
                end = pairs * (rank + 1) / processes;
  const bool has_middle = rows % 2 != 0 && rank == processes - 1;
  return {.whole = rows,
          .low = begin,
          .low_count = end - begin + (has_middle ? 1 : 0),
          .high = rows - end,
          .high_count = end - begin};
}

}  // namespace passband
