// Kernels of the lambda layer, one signature per backend, and the shape they work on.
#pragma once
#include <algorithm>

#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"
#include "tensor/ops/attention/lambda.h"

namespace passband {

struct LambdaShape {
  int64_t batch = 0, height = 0, width = 0;
  int64_t heads = 0, depth = 0, intra = 0, value = 0;  // h, k, u, v
  int64_t radius_y = 0, radius_x = 0;                  // of the embedding's table
  LambdaOrder order = LambdaOrder::score_first;

  int64_t positions() const { return height * width; }
  int64_t table_height() const { return 2 * radius_y + 1; }
  int64_t table_width() const { return 2 * radius_x + 1; }
  int64_t table_size() const { return table_height() * table_width(); }
  // Farthest offset that falls into the map at all.
  int64_t reach_y() const { return std::min(radius_y, height - 1); }
  int64_t reach_x() const { return std::min(radius_x, width - 1); }
};

// Parts are undefined where they are absent (embedding_bias) or not wanted (a gradient).
struct LambdaTensors {
  Tensor q, keys, values, embedding, embedding_bias;
};

namespace cpu {
PASSBAND_CPU_KERNEL(lambda_forward,
                    void(Tensor y, const LambdaTensors& x, const LambdaShape& shape));
PASSBAND_CPU_KERNEL(lambda_backward, void(LambdaTensors dx, const Tensor& dy,
                                          const LambdaTensors& x, const LambdaShape& shape));
}  // namespace cpu

namespace cuda {
void lambda_forward(Tensor y, const LambdaTensors& x, const LambdaShape& shape);
void lambda_backward(LambdaTensors dx, const Tensor& dy, const LambdaTensors& x,
                     const LambdaShape& shape);
}  // namespace cuda

}  // namespace passband
