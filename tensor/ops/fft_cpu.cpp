// CPU Fourier transform by KissFFT, in f64 for every element type. Two real channels travel as the
// real and imaginary part of one complex transform Z: A[k] = (Z[k] + conj Z[-k]) / 2, B[k] = (Z[k]
// - conj Z[-k]) / 2i.
#include <cmath>
#include <complex>
#include <kissfft/kissfft.hh>
#include <vector>

#include "tensor/cpu/loops.h"
#include "tensor/ops/fft_kernels.h"

LEVEL_BEGIN
namespace {

using Complex = std::complex<double>;

// Transforms planes of H x W in place; one per thread, because KissFFT keeps scratch memory.
class PlaneTransform {
 public:
  PlaneTransform(int64_t height, int64_t width)
      : height_(height),
        width_(width),
        along_rows_(static_cast<size_t>(width), false),
        along_columns_(static_cast<size_t>(height), false),
        line_(static_cast<size_t>(std::max(height, width))),
        column_(static_cast<size_t>(height)) {}

  void operator()(Complex* plane) {
    for (int64_t h = 0; h < height_; ++h) {
      along_rows_.transform(plane + h * width_, line_.data());
      std::copy_n(line_.data(), width_, plane + h * width_);
    }
    for (int64_t w = 0; w < width_; ++w) {
      for (int64_t h = 0; h < height_; ++h) column_[static_cast<size_t>(h)] = plane[h * width_ + w];
      along_columns_.transform(column_.data(), line_.data());
      for (int64_t h = 0; h < height_; ++h) plane[h * width_ + w] = line_[static_cast<size_t>(h)];
    }
  }

 private:
  int64_t height_, width_;
  kissfft<double> along_rows_, along_columns_;
  std::vector<Complex> line_, column_;
};

double part_of(const Complex& value, FourierPart part) {
  if (part == FourierPart::real) return value.real();
  if (part == FourierPart::imaginary) return value.imag();
  return std::sqrt(std::norm(value));
}

}  // namespace

void fft2(Tensor y, const Tensor& x, FourierPart part) {
  const int64_t images = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t pairs = (channels + 1) / 2, area = height * width;
  dispatch_floating(x.dtype(), "fft2", [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_for(area ? images * pairs : 0, grain_for(16 * area), [&](int64_t begin, int64_t end) {
      PlaneTransform transform(height, width);
      std::vector<Complex> plane(static_cast<size_t>(area));
      for (int64_t task = begin; task < end; ++task) {
        const int64_t first = task % pairs * 2, base = task / pairs * area * channels + first;
        const bool paired = first + 1 < channels;
        for (int64_t i = 0; i < area; ++i) {
          const T* value = from + base + i * channels;
          plane[static_cast<size_t>(i)] = {static_cast<double>(value[0]),
                                           paired ? static_cast<double>(value[1]) : 0.0};
        }
        transform(plane.data());
        for (int64_t h = 0; h < height; ++h) {
          for (int64_t w = 0; w < width; ++w) {
            const Complex z = plane[static_cast<size_t>(h * width + w)];
            const int64_t mirror = (height - h) % height * width + (width - w) % width;
            const Complex other = std::conj(plane[static_cast<size_t>(mirror)]), sum = z + other,
                          turned = z - other;
            T* result = to + base + (h * width + w) * channels;
            store(result[0], static_cast<Accumulate<T>>(part_of(sum * 0.5, part)));
            if (paired)
              store(result[1], static_cast<Accumulate<T>>(
                                   part_of({turned.imag() * 0.5, turned.real() * -0.5}, part)));
          }
        }
      }
    });
  });
}

LEVEL_END
