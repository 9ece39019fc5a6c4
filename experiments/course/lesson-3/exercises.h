// The exercises of lesson 3, which exercises.cpp holds and check.cpp looks at.
#pragma once
#include <passband/passband.h>

// softmax(q k^T / sqrt(d)) v;  q (T, d), k (S, d), v (S, e) -> (T, e)
passband::Tensor attention(const passband::Tensor& q, const passband::Tensor& k,
                           const passband::Tensor& v);

// Attention of `heads` heads: head h has the channels h d to h d + d - 1 of q, k and v, d = width /
// heads, and gives those of the result. q, k, v (T, width) -> (T, width)
passband::Tensor multi_head_attention(const passband::Tensor& q, const passband::Tensor& k,
                                      const passband::Tensor& v, int64_t heads);
