// Types of elements that files of weights hold, by their safetensors names, and their conversion.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "tensor/core/tensor.h"

namespace passband {

// "F32", "BF16", "F16" or "F64".
bool is_floating_element(std::string_view type);

// Converts `out.numel()` elements of such a type to `out`, of a floating type. `bytes` are as many,
// little-endian.
void convert_elements(std::string_view type, const std::string& bytes, Tensor out);

}  // namespace passband
