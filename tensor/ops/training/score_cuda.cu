// CUDA scores: the place of each label among its logits, then one block that adds up.
//
// Bound by launches: 512 rows of 10 logits are 20 KB. A warp takes a row, whose logits neighbouring
// lanes read; what is summed are whole numbers, so their order does not matter.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/training/score_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = kThreads / 32;  // of a block

// place[row] = how many classes come before the label; after all of them for a label outside,
// which check_indices reports.
template <class T> __global__ void __launch_bounds__(kThreads)
    place_kernel(int32_t* place, const T* logits, const int32_t* labels, int64_t rows,
                 int64_t classes) {
  using A = Accumulate<T>;
  const int64_t row = int64_t{blockIdx.x} * kRows + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (row >= rows) return;  // whole warps return together
  const T* z = logits + row * classes;
  const int64_t label = labels[row];
  const bool known = label >= 0 && label < classes;
  const A of_label = known ? static_cast<A>(z[label]) : A(0);
  int before = 0;
  for (int64_t k = lane; known && k < classes; k += 32)
    before += places_before(static_cast<A>(z[k]), k, of_label, label);
  before = warp_sum(before);
  if (lane == 0) place[row] = known ? before : INT32_MAX;
}

template <class L> __global__ void __launch_bounds__(kThreads)
    score_kernel(double* score, const L* loss, const int32_t* place, int64_t rows) {
  int top1 = 0, top5 = 0;
  for (int64_t i = threadIdx.x; i < rows; i += kThreads) {
    top1 += place[i] < 1;
    top5 += place[i] < 5;
  }
  top1 = block_sum(top1);
  top5 = block_sum(top5);
  if (threadIdx.x > 0) return;
  score[0] += static_cast<double>(*loss) * static_cast<double>(rows);
  score[1] += static_cast<double>(top1);
  score[2] += static_cast<double>(top5);
  score[3] += static_cast<double>(rows);
}

}  // namespace

void add_to_score(Tensor score, const Tensor& loss, const Tensor& logits, const Tensor& labels) {
  const int64_t rows = logits.size(0);
  if (rows == 0) return;
  Tensor place = Tensor::empty({rows}, DType::i32, logits.device());
  dispatch_floating(logits.dtype(), "add_to_score", [&]<class T>() {
    launch({.grid = blocks_for(rows, kRows), .block = kThreads, .stream = compute_stream()},
           place_kernel<T>, place.data<int32_t>(), logits.data<T>(), labels.data<int32_t>(), rows,
           logits.size(1));
    using L = Accumulate<T>;  // of the loss
    launch({.grid = 1, .block = kThreads, .stream = compute_stream()}, score_kernel<L>,
           score.data<double>(), loss.data<L>(), place.data<int32_t>(), rows);
  });
}

}  // namespace passband::cuda
