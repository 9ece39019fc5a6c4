// Lesson 3, your part. Replace what the functions return; `make check-lesson-3` looks at it.
#include "experiments/course/lesson-3/exercises.h"

using namespace passband;

// Exercise 1. matmul(a, b, {.transpose_b = true}) is a b^T; softmax(x) goes along each row;
// x * 0.5 multiplies each element.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  return Tensor::zeros({q.size(0), v.size(1) + 0 * k.size(0)});
}

// Exercise 2. slice(x, 1, first, count) takes channels out of x, concat({a, b, ...}, 1) puts them
// side by side. (Or do it without a loop: reshape, permute and one matmul of stacks.)
Tensor multi_head_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads) {
  (void)heads;  // take this away
  return attention(q, k, v);
}
