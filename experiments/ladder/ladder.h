// The steps of the ladder: the same operation again and again, each time with one idea more. All
// pointers are of device memory; f32 and row-major where nothing else is said.
#pragma once
#include "tensor/core/dtype.h"

namespace ladder {

using passband::bf16;

// y = softmax(x) over the last dimension; x, y (rows, columns), columns a multiple of 256.
void softmax_1_naive(float* y, const float* x, int rows, int columns);
void softmax_2_coalesced(float* y, const float* x, int rows, int columns);
void softmax_3_sequential(float* y, const float* x, int rows, int columns);
void softmax_4_shuffles(float* y, const float* x, int rows, int columns);
void softmax_5_online(float* y, const float* x, int rows, int columns);
void softmax_6_registers(float* y, const float* x, int rows, int columns);  // columns = 1024

// c = a b; a (m, k), b (k, n), c (m, n), each side a multiple of 64.
void matmul_1_naive(float* c, const float* a, const float* b, int m, int n, int k);
void matmul_2_coalesced(float* c, const float* a, const float* b, int m, int n, int k);
void matmul_3_tiles(float* c, const float* a, const float* b, int m, int n, int k);
void matmul_4_registers(float* c, const float* a, const float* b, int m, int n, int k);
void matmul_5_packs(float* c, const float* a, const float* b, int m, int n, int k);
void matmul_6_pipeline(float* c, const float* a, const float* b, int m, int n, int k);
void matmul_7_tensor_cores(float* c, const bf16* a, const bf16* b, int m, int n, int k);

// y = the 3 x 3 convolution of x, padded by zeros; x (side, side, in), w (out, 3, 3, in), y (side,
// side, out); in a multiple of 16, out of 32, side^2 of 64. `scratch` holds what a step says.
void convolution_1_naive(float* y, const float* x, const float* w, int side, int in, int out);
void convolution_2_turned(float* y, const float* x, const float* w, int side, int in, int out,
                          float* scratch);  // 9 in out
void convolution_3_im2col(float* y, const float* x, const float* w, int side, int in, int out,
                          float* scratch);  // 9 in side^2
void convolution_4_implicit(float* y, const float* x, const float* w, int side, int in, int out);
void convolution_5_registers(float* y, const float* x, const float* w, int side, int in, int out);
void convolution_6_tensor_cores(float* y, const bf16* x, const bf16* w, int side, int in, int out);

// y = softmax(q k^T / sqrt(d)) v for each head; all (heads, tokens, d), d = 32, tokens a multiple
// of
// 64. `scratch` (heads, tokens, tokens).
void attention_1_naive(float* y, const float* q, const float* k, const float* v, int heads,
                       int tokens, float* scratch);
void attention_2_fused(float* y, const float* q, const float* k, const float* v, int heads,
                       int tokens);
void attention_3_tiles(float* y, const float* q, const float* k, const float* v, int heads,
                       int tokens);
void attention_4_padding(float* y, const float* q, const float* k, const float* v, int heads,
                         int tokens);
void attention_5_tensor_cores(float* y, const bf16* q, const bf16* k, const bf16* v, int heads,
                              int tokens);

}  // namespace ladder
