#include "models/element_types.h"

#include <bit>
#include <cstring>

#include "tensor/core/error.h"

namespace passband {
namespace {

// An IEEE half. Subnormals are exact in f32.
struct Half {
  uint16_t bits;
  operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t exponent = (bits >> 10) & 31u, mantissa = bits & 1023u;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
    if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
};

template <class From, class To> void convert(const std::string& bytes, Tensor& out) {
  To* to = out.data<To>();
  for (int64_t i = 0; i < out.numel(); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * static_cast<int64_t>(sizeof(From)), sizeof(From));
    if constexpr (std::is_same_v<From, To>) to[i] = value;
    else if constexpr (std::is_same_v<From, double> || std::is_same_v<To, double>)
      to[i] = static_cast<To>(value);
    else to[i] = static_cast<To>(static_cast<float>(value));
  }
}

}  // namespace

bool is_floating_element(std::string_view type) {
  return type == "F32" || type == "BF16" || type == "F16" || type == "F64";
}

void convert_elements(std::string_view type, const std::string& bytes, Tensor out) {
  CHECK(is_floating_element(type), "convert_elements: ", type, " is no floating type");
  dispatch_floating(out.dtype(), "convert_elements", [&]<class To>() {
    if (type == "F32") convert<float, To>(bytes, out);
    else if (type == "BF16") convert<bf16, To>(bytes, out);
    else if (type == "F16") convert<Half, To>(bytes, out);
    else convert<double, To>(bytes, out);
  });
}

}  // namespace passband
