// Kernels whose memory traffic has a closed form (test_counter.cpp).
#pragma once

namespace passband::testing {

// One warp reads a column of a 32 x 32 tile of shared memory, 32 times; rows of 32 or 33 words.
void read_columns(float* y, bool padded);
// One warp: lane i reads word stride * i of shared memory, in elements of 4, 8 or 16 bytes.
void read_strided_words(float* y, int stride);
void read_strided_pairs(float* y, int stride);
void read_strided_packs(float* y, int stride);
// One warp: lane i reads x[stride * i] and writes y[i].
void read_strided_global(float* y, const float* x, int stride);
// A warp and a half read one pack of four floats a thread.
void read_packs(float* y, const float* x);
// Lanes below `lanes` read a word of shared memory each, the others another instruction's.
void read_divided(float* y, int lanes);
// A warp copies 16 bytes a lane from x asynchronously, waits, reads a word a lane.
void copy_asynchronously(float* y, const float* x);
// ldmatrix of four 8 x 8 matrices whose rows are `stride` elements of 2 bytes apart.
void load_matrices(float* y, int stride);
// 3 blocks of 2 warps: two barriers, and a warp's five shuffles.
void wait_and_shuffle(float* y);

}  // namespace passband::testing
