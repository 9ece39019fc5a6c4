// What stands in for cuFFT in the emulated build: the sums of the definition, rows first, in f64.
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "tensor/cuda/fft.h"
#include "tests/cuda_emulator/controls.h"

namespace passband::cuda {
namespace {

using Complex = std::complex<double>;

Complex turn(int64_t steps, int64_t of) {
  return std::polar(
      1.0, -2 * std::numbers::pi * static_cast<double>(steps % of) / static_cast<double>(of));
}

void transform_plane(float* half, const float* plane, int64_t height, int64_t width) {
  const int64_t columns = width / 2 + 1;
  std::vector<Complex> rows(static_cast<size_t>(height * columns));
  for (int64_t h = 0; h < height; ++h)
    for (int64_t v = 0; v < columns; ++v)
      for (int64_t w = 0; w < width; ++w)
        rows[static_cast<size_t>(h * columns + v)] +=
            static_cast<double>(plane[h * width + w]) * turn(v * w, width);
  for (int64_t u = 0; u < height; ++u) {
    for (int64_t v = 0; v < columns; ++v) {
      Complex sum = 0;
      for (int64_t h = 0; h < height; ++h)
        sum += rows[static_cast<size_t>(h * columns + v)] * turn(u * h, height);
      half[2 * (u * columns + v)] = static_cast<float>(sum.real());
      half[2 * (u * columns + v) + 1] = static_cast<float>(sum.imag());
    }
  }
}

}  // namespace

void fft2_planes(float* half, float* planes, int64_t batch, int64_t height, int64_t width,
                 StreamHandle stream) {
  const int64_t half_area = 2 * height * (width / 2 + 1);
  emulator::enqueue_library_call(stream, [=] {
    for (int64_t b = 0; b < batch; ++b)
      transform_plane(half + b * half_area, planes + b * height * width, height, width);
    emulator::mark_written(half, static_cast<size_t>(batch * half_area) * sizeof(float));
  });
}

}  // namespace passband::cuda
