// The choice of rows on the CPU.
#include <algorithm>
#include <numeric>
#include <vector>

#include "tensor/ops/training/hardest_kernels.h"

LEVEL_BEGIN

void hardest_rows(Tensor rows, const Tensor& losses) {
  const auto k = static_cast<size_t>(rows.numel());
  const auto choose = [&]<class T>(const T* loss) {
    std::vector<int32_t> order(static_cast<size_t>(losses.numel()));
    std::iota(order.begin(), order.end(), 0);
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(k);
    std::nth_element(order.begin(), middle - 1, order.end(),
                     [&](int32_t i, int32_t j) { return is_harder(loss[i], i, loss[j], j); });
    std::sort(order.begin(), middle);
    std::copy(order.begin(), middle, rows.data<int32_t>());
  };
  if (losses.dtype() == DType::f64) choose(losses.data<double>());
  else choose(losses.data<float>());
}

LEVEL_END
