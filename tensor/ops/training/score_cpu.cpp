// CPU loops of scores.
#include "tensor/ops/training/score_kernels.h"

LEVEL_BEGIN

void add_to_score(Tensor score, const Tensor& loss, const Tensor& logits, const Tensor& labels) {
  const int64_t rows = logits.size(0), classes = logits.size(1);
  const int32_t* label = labels.data<int32_t>();
  int64_t top1 = 0, top5 = 0;
  dispatch_floating(logits.dtype(), "add_to_score", [&]<class T>() {
    using A = Accumulate<T>;
    for (int64_t i = 0; i < rows; ++i) {
      const T* row = logits.data<T>() + i * classes;
      const A of_label = static_cast<A>(row[label[i]]);
      int64_t before = 0;
      for (int64_t k = 0; k < classes; ++k)
        before += places_before(static_cast<A>(row[k]), k, of_label, label[i]);
      top1 += before < 1;
      top5 += before < 5;
    }
  });
  const double mean =
      loss.dtype() == DType::f64 ? *loss.data<double>() : static_cast<double>(*loss.data<float>());
  double* sums = score.data<double>();
  sums[0] += mean * static_cast<double>(rows);
  sums[1] += static_cast<double>(top1);
  sums[2] += static_cast<double>(top5);
  sums[3] += static_cast<double>(rows);
}

LEVEL_END
