// The exercises of lesson 6, which exercises.cpp holds and check.cpp looks at.
#pragma once
#include <passband/passband.h>

// A table of places made of waves (Vaswani et al. 2017): row t, column 2 i holds sin(t / f), column
// 2 i + 1 holds cos(t / f), f = 10000^(2 i / width). (tokens, width), width even.
passband::Tensor sine_positions(int64_t tokens, int64_t width);

// The content part of a lambda layer with one head: the keys, normalised over the tokens by
// softmax, collect the values into one small matrix for all queries, and each query reads it. q (T,
// k), keys (T, k), values (T, v) -> (T, v)
passband::Tensor content_lambda(const passband::Tensor& q, const passband::Tensor& keys,
                                const passband::Tensor& values);
