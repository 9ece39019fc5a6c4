// The best that this machine can do, measured by loops that do nothing else: the yardstick beside
// every benchmark.
#pragma once
#include <string>

namespace passband::bench {

// GFLOP/s of all threads together for about `seconds`; a multiply-add counts as two.
double f32_peak(double seconds = 0.05);   // fused multiply-adds in the widest vector registers
double bf16_peak(double seconds = 0.05);  // bf16 pair products into f32 (vdpbf16ps); f32_peak where
                                          // there are none
double matrix_peak(double seconds = 0.05);  // bf16 tile products (AMX); 0 where there are none

// Seconds of processor time, of all threads of this process: other programs take none of it.
double processor_seconds();
// f32_peak and bf16_peak by this time instead of the clock's: what the threads would do on cores of
// their own.
double undisturbed_peak(bool bf16, double seconds = 0.05);

// GB/s over arrays far larger than the caches. Counted are the bytes the loop names: copy 2 arrays,
// triad 3.
double copy_bandwidth();
double triad_bandwidth();

// What a GPU does at best: GB/s of a copy within its memory (read and written), and GFLOP/s of a
// product of 8192 x 8192 matrices of random numbers in "f32", "tf32" or "bf16", the better of our
// kernels and the vendor's library. Measured once.
double device_copy_bandwidth();
double device_product_rate(const std::string& precision);

}  // namespace passband::bench
