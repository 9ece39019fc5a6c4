// Two-dimensional Fourier transform on the GPU: planes are gathered, transformed by cuFFT from real
// to half of the spectrum, completed by its symmetry F[-u, -v] = conj F[u, v], and put back in
// channel order.
//
// Bound by memory, and never inside a training step: eight passes over the data in f32, ten in
// bf16.
#include "tensor/cuda/fft.h"
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/fft_kernels.h"
#include "tensor/ops/pointwise_kernels.h"
#include "tensor/ops/shape_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ float part_of(float real, float imaginary, FourierPart part) {
  if (part == FourierPart::real) return real;
  if (part == FourierPart::imaginary) return imaginary;
  return sqrtf(real * real + imaginary * imaginary);
}

// y (planes, height, width) from half (planes, height, width / 2 + 1, 2).
__global__ void __launch_bounds__(kThreads)
    spectrum_part_kernel(float* y, const float* half, int64_t n, Divisor height, Divisor width,
                         FourierPart part) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const int64_t row = width.quotient(i), plane = height.quotient(row);
  const int64_t u = row - plane * height.value(), v = i - row * width.value(),
                columns = width.value() / 2 + 1;
  const bool mirrored = v >= columns;
  const int64_t from_u = mirrored && u > 0 ? height.value() - u : u,
                from_v = mirrored ? width.value() - v : v;
  const Pack<float, 2> value =
      load_pack<2>(half + 2 * ((plane * height.value() + from_u) * columns + from_v));
  y[i] = part_of(value[0], mirrored ? -value[1] : value[1], part);
}

}  // namespace

void fft2(Tensor y, const Tensor& x, FourierPart part) {
  CHECK(x.dtype() != DType::f64, "fft2: f64 is for the CPU; the GPU transforms f32 and bf16, not ",
        x);
  if (x.numel() == 0) return;
  const int64_t images = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t area = height * width, count = images * channels;
  const Device device = x.device();
  const auto f32 = [&](const Shape& shape) { return Tensor::empty(shape, DType::f32, device); };

  Tensor maps = x;  // (N, HW, C), then planes (N, C, HW)
  if (x.dtype() != DType::f32) convert(maps = f32(x.shape()), x);
  Tensor planes = f32({count, area}), half = f32({count, height, width / 2 + 1, 2});
  permute(planes, maps, {3, {images, channels, area}, {area * channels, 1, channels}});
  fft2_planes(half.data<float>(), planes.data<float>(), count, height, width, compute_stream());
  launch({.grid = blocks_for(x.numel(), kThreads), .block = kThreads, .stream = compute_stream()},
         spectrum_part_kernel, planes.data<float>(), half.data<float>(), x.numel(), Divisor(height),
         Divisor(width), part);
  if (x.dtype() != DType::f32) {
    permute(maps, planes, {3, {images, area, channels}, {area * channels, 1, area}});
    convert(y, maps);
  } else {
    permute(y, planes, {3, {images, area, channels}, {area * channels, 1, area}});
  }
}

}  // namespace passband::cuda
