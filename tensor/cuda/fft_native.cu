// The Fourier transform by cuFFT. Plans are made once per shape and kept.
#include <cufft.h>

#include <map>
#include <tuple>

#include "tensor/core/error.h"
#include "tensor/cuda/fft.h"
#include "tensor/cuda/stream.h"

namespace passband::cuda {
namespace {

void check(cufftResult result, const char* what) {
  CHECK(result == CUFFT_SUCCESS, "cuFFT: ", what, " failed with code ", static_cast<int>(result));
}

cufftHandle plan_for(int64_t batch, int64_t height, int64_t width) {
  static std::map<std::tuple<int, int64_t, int64_t, int64_t>, cufftHandle> plans;
  const auto [found, is_new] = plans.try_emplace({device_in_use(), batch, height, width});
  if (is_new) {
    int size[2] = {static_cast<int>(height), static_cast<int>(width)};
    check(cufftPlanMany(&found->second, 2, size, nullptr, 1, 0, nullptr, 1, 0, CUFFT_R2C,
                        static_cast<int>(batch)),
          "planning");
  }
  return found->second;
}

}  // namespace

void fft2_planes(float* half, float* planes, int64_t batch, int64_t height, int64_t width,
                 StreamHandle stream) {
  CHECK(batch <= INT32_MAX, "fft2: ", batch, " planes are more than cuFFT takes at once");
  const cufftHandle plan = plan_for(batch, height, width);
  check(cufftSetStream(plan, stream), "setting the stream");
  check(cufftExecR2C(plan, planes, reinterpret_cast<cufftComplex*>(half)), "the transform");
}

}  // namespace passband::cuda
