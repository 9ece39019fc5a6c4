#include "tensor/core/batch_parts.h"

#include <bit>

namespace passband {
namespace {

thread_local BatchParts parts_here;

}  // namespace

BatchParts parts_of_batch(int64_t whole, int processes) {
  BatchParts parts{.whole = whole, .rows = whole / processes};
  int64_t all = 1;
  while (all < kMostBatchParts && whole % (2 * all) == 0) all *= 2;
  if (std::has_single_bit(static_cast<unsigned>(processes)) && 2 * processes <= all)
    parts.count = all / processes;
  return parts;
}

const BatchParts& batch_parts() { return parts_here; }

BatchPartsGuard::BatchPartsGuard(const BatchParts& parts) : restore_(parts_here) {
  parts_here = parts;
}
BatchPartsGuard::~BatchPartsGuard() { parts_here = restore_; }

}  // namespace passband
