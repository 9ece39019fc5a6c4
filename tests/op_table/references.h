// Building blocks of references: plain loops over f64 arrays.
#pragma once
#include <cmath>
#include <functional>

#include "tests/op_table/op_table.h"

namespace passband::op_table {

using Values = std::vector<double>;
using Reference = std::function<Values(const Arrays&)>;

// y = f(x), element by element.
inline Reference elementwise(std::function<double(double)> f) {
  return [f = std::move(f)](const Arrays& x) {
    Values y;
    for (const double value : x[0].values) y.push_back(f(value));
    return y;
  };
}

// Index into an array of shape `own` that broadcasting reads for element `i` of a result of shape
// `shape`.
inline int64_t broadcast_index(const Shape& shape, const Shape& own, int64_t i) {
  int64_t index = 0, step = 1;
  for (int d = 1; d <= shape.rank(); ++d) {
    const int64_t position = i % shape[-d];
    i /= shape[-d];
    if (d > own.rank()) continue;
    if (own[-d] != 1) index += position * step;
    step *= own[-d];
  }
  return index;
}

// y = f(a, b) with broadcasting.
inline Reference elementwise(std::function<double(double, double)> f) {
  return [f = std::move(f)](const Arrays& x) {
    Shape shape = x[0].shape.rank() >= x[1].shape.rank() ? x[0].shape : x[1].shape;
    for (int d = 1; d <= shape.rank(); ++d)
      for (const Array& array : x)
        if (d <= array.shape.rank() && array.shape[-d] != 1) shape[-d] = array.shape[-d];
    Values y;
    for (int64_t i = 0; i < shape.numel(); ++i)
      y.push_back(f(x[0][broadcast_index(shape, x[0].shape, i)],
                    x[1][broadcast_index(shape, x[1].shape, i)]));
    return y;
  };
}

// Each row (last dimension) of x[0] through f, results joined.
inline Reference rowwise(std::function<Values(const Values&)> f) {
  return [f = std::move(f)](const Arrays& x) {
    const auto width = static_cast<ptrdiff_t>(x[0].shape[-1]);
    Values y;
    for (auto row = x[0].values.begin(); row != x[0].values.end(); row += width)
      for (const double value : f(Values(row, row + width))) y.push_back(value);
    return y;
  };
}

// Positions (i_0, i_1, ...) of element `i` of `shape`.
inline std::vector<int64_t> position_of(const Shape& shape, int64_t i) {
  std::vector<int64_t> position(static_cast<size_t>(shape.rank()));
  for (int d = shape.rank() - 1; d >= 0; --d) {
    position[static_cast<size_t>(d)] = i % shape[d];
    i /= shape[d];
  }
  return position;
}

// y[o] = sum of x[i] over the elements i that `target` sends to o.
inline Values scattered_sum(const Array& x, int64_t size,
                            const std::function<int64_t(const std::vector<int64_t>&)>& target) {
  Values y(static_cast<size_t>(size));
  for (int64_t i = 0; i < x.size(); ++i)
    y[static_cast<size_t>(target(position_of(x.shape, i)))] += x[i];
  return y;
}

}  // namespace passband::op_table
