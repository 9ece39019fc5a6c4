// CPU loops of pointwise operations on equal shapes, and conversion of element types.
#include "tensor/cpu/loops.h"
#include "tensor/ops/pointwise_kernels.h"

LEVEL_BEGIN

template <class F> void map(Tensor y, const Tensor& x, const F& f) {
  dispatch_floating(x.dtype(), "pointwise", [&]<class T>() {
    map_elements(x.numel(), f, y.data<T>(), static_cast<const T*>(x.data<T>()));
  });
}

template <class F> void zip(Tensor y, const Tensor& a, const Tensor& b, const F& f) {
  dispatch_floating(a.dtype(), "pointwise", [&]<class T>() {
    map_elements(a.numel(), f, y.data<T>(), static_cast<const T*>(a.data<T>()),
                 static_cast<const T*>(b.data<T>()));
  });
}

namespace {

template <class To, class From> void convert_elements(Tensor y, const Tensor& x) {
  To* to = y.data<To>();
  const From* from = x.data<From>();
  parallel_for(x.numel(), kGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      if constexpr (std::is_same_v<To, bf16>) store(to[i], static_cast<float>(from[i]));
      else if constexpr (std::is_same_v<From, bf16>)
        to[i] = static_cast<To>(static_cast<float>(from[i]));
      else to[i] = static_cast<To>(from[i]);
    }
  });
}

template <class To> void convert_to(Tensor y, const Tensor& x) {
  switch (x.dtype()) {
    case DType::f32: return convert_elements<To, float>(y, x);
    case DType::bf16: return convert_elements<To, bf16>(y, x);
    case DType::f64: return convert_elements<To, double>(y, x);
    case DType::i32: return convert_elements<To, int32_t>(y, x);
    case DType::u8: return convert_elements<To, uint8_t>(y, x);
  }
}

}  // namespace

void convert(Tensor y, const Tensor& x) {
  switch (y.dtype()) {
    case DType::f32: return convert_to<float>(y, x);
    case DType::bf16: return convert_to<bf16>(y, x);
    case DType::f64: return convert_to<double>(y, x);
    case DType::i32: return convert_to<int32_t>(y, x);
    case DType::u8: return convert_to<uint8_t>(y, x);
  }
}

#define INSTANTIATE_MAP(F) template void map(Tensor, const Tensor&, const fn::F&);
#define INSTANTIATE_ZIP(F) template void zip(Tensor, const Tensor&, const Tensor&, const fn::F&);
#define INSTANTIATE_FUNCTION(F) INSTANTIATE_MAP(F) INSTANTIATE_ZIP(Backward<fn::F>)

PASSBAND_FUNCTIONS(INSTANTIATE_FUNCTION)
INSTANTIATE_MAP(AddScalar)
INSTANTIATE_MAP(MulScalar)
INSTANTIATE_MAP(Fill)
INSTANTIATE_MAP(Positive)
INSTANTIATE_MAP(Inside)
INSTANTIATE_MAP(Sign)
INSTANTIATE_ZIP(AddScaled)

LEVEL_END
