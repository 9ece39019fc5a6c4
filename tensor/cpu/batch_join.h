// The sums of the parts of a batch, joined in their order (tensor/core/batch_parts.h).
#pragma once
#include <vector>

#include "tensor/core/batch_parts.h"
#include "tensor/core/dtype.h"
#include "tensor/core/tensor.h"
#include "tensor/cpu/level_code.h"

PASSBAND_LEVEL_BEGIN

// Of a batch with this leading dimension: how many parts its sums have; 1 where they are not cut.
inline int64_t batch_parts_of(int64_t leading) {
  return batch_parts().cut(leading) ? batch_parts().count : 1;
}

// The sum over the parts of from(part, i), i < width, each rounded to A.
template <class A, class From>
std::vector<A> join_batch(int64_t parts, int64_t width, const From& from) {
  const auto own = [&](int64_t part) {
    std::vector<A> values(static_cast<size_t>(width));
    for (int64_t i = 0; i < width; ++i) values[i] = static_cast<A>(from(part, i));
    return values;
  };
  if (parts == 1) return own(0);
  return sum_of_parts(parts, own, [](std::vector<A>& sum, const std::vector<A>& more) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
  });
}

// to = the sum over the parts of `totals`, (parts, elements of `to`), each rounded to its type.
inline void write_batch_sum(Tensor to, int64_t parts, const std::vector<double>& totals) {
  dispatch_floating(to.dtype(), "sum", [&]<class T>() {
    const int64_t width = to.numel();
    const auto sum = join_batch<Accumulate<T>>(
        parts, width, [&](int64_t part, int64_t i) { return totals[part * width + i]; });
    for (int64_t i = 0; i < width; ++i) to.data<T>()[i] = static_cast<T>(sum[i]);
  });
}

PASSBAND_LEVEL_END
