#include "nn/drop.h"

#include "tensor/ops/shape.h"

namespace passband {

Tensor drop_factors(const Tensor& x, double rate, const RandomKey& key, bool whole_rows) {
  const NoGrad no_graph;
  const BatchShare& share = context().share;
  CHECK(share.count() == x.size(0), "drop: the pass has ", x, ", its share of a batch is ",
        share.count(), " rows");
  const int64_t width = whole_rows ? 1 : x.shape().inner(0);
  Tensor all = Tensor::full({share.whole, width}, 1.0, x.dtype(), x.device());
  all = whole_rows ? drop_path(all, rate, key) : dropout(all, rate, key);
  const Tensor own = concat(
      {slice(all, 0, share.low, share.low_count), slice(all, 0, share.high, share.high_count)}, 0);
  if (!whole_rows) return reshape(own, x.shape());
  std::vector<int64_t> shape(static_cast<size_t>(x.rank()), 1);
  shape[0] = x.size(0);
  return reshape(own, shape);
}

}  // namespace passband
