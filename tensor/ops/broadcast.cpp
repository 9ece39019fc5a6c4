// Merges dimensions that both operands walk through evenly, so that most broadcasts become one or
// two loops.
#include "tensor/ops/broadcast.h"

namespace passband {

std::array<int64_t, Shape::kMaxRank> strides_within(const Shape& shape, const Shape& own) {
  std::array<int64_t, Shape::kMaxRank> strides{};
  int64_t step = 1;
  for (int d = own.rank() - 1, at = shape.rank() - 1; d >= 0; --d, --at) {
    strides[static_cast<size_t>(at)] = own[d] == 1 ? 0 : step;
    step *= own[d];
  }
  return strides;
}

Broadcast broadcast_loops(const Shape& shape, const Shape& a, const Shape& b) {
  const auto stride_a = strides_within(shape, a), stride_b = strides_within(shape, b);
  Broadcast loops;
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1) continue;
    const auto at = static_cast<size_t>(d), last = static_cast<size_t>(std::max(loops.rank - 1, 0));
    const bool merges = loops.rank > 0 && loops.a[last] == stride_a[at] * shape[d] &&
                        loops.b[last] == stride_b[at] * shape[d];
    const size_t to = merges ? last : static_cast<size_t>(loops.rank++);
    loops.size[to] = shape[d] * (merges ? loops.size[to] : 1);
    loops.a[to] = stride_a[at];
    loops.b[to] = stride_b[at];
  }
  if (loops.rank == 0) loops.size[static_cast<size_t>(loops.rank++)] = 1;
  return loops;
}

}  // namespace passband
