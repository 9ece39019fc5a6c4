// OwnPart: what one of several processes does of a loop over pictures, and how the parts are
// joined.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/model.h"
#include "tensor/core/tensor.h"

namespace passband {

// While one lives, loops over pictures are split among all processes, which must then run the same
// ones. Where there is one process, nothing changes.
class SplitsPictures {
 public:
  SplitsPictures();
  ~SplitsPictures();
  SplitsPictures(const SplitsPictures&) = delete;
  SplitsPictures& operator=(const SplitsPictures&) = delete;
};

bool pictures_are_split();

// A run of the units of a loop, pictures or batches, by rank. Of fewer units than processes, every
// process has all, and nothing is joined. All processes call the same functions in the same order.
//
//   const OwnPart part(total);
//   part.run({&model}, [&] { for (int64_t i = part.begin; i < part.end; ++i) sum += of(i); });
//   part.join(sum);
class OwnPart {
 public:
  explicit OwnPart(int64_t units);

  int64_t begin = 0, end = 0;
  bool split = false;

  // Calls `work`, then hears from all processes how theirs ended: what one of them threw all throw,
  // as NotFinite for one of `models`, as Interrupted, or as Error with the name of the process.
  void run(const std::vector<const Model*>& models, const std::function<void()>& work) const;

  // The same of units in batches of up to `size`: calls `work` with the first unit of each and how
  // many it has.
  void run_batches(const std::vector<const Model*>& models, int64_t size,
                   const std::function<void(int64_t first, int64_t count)>& work) const;

  // Sums over the processes, in f64: their order is that of the parts, not that of the units.
  void join(double& sum) const;
  void join(int64_t& sum) const;
  void join(std::vector<double>& sums) const;
  void join(std::vector<int64_t>& sums) const;
  void join(Tensor& sums) const;  // f32 or f64; not defined: in all processes
  // Of every unit so many numbers: those of all, in the order of the units.
  void append(std::vector<double>& numbers) const;
  void append(std::vector<bool>& answers) const;
};

}  // namespace passband
