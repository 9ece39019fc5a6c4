// The section `fourier`: which frequencies do layers pass?
#pragma once
#include <cstdint>

#include "analysis/study/analysis.h"

namespace passband {

// What becomes of the bias of a mean logarithm, which white noise shows.
enum class NoiseBias : uint8_t { mark, subtract };
// The last point of the diagonal: where it lies, or at 1.0 pi as published.
enum class FrequencyAxis : uint8_t { exact, published };

struct FourierOptions {
  NoiseBias bias = NoiseBias::mark;
  FrequencyAxis axis = FrequencyAxis::exact;
};

Section fourier_section(const AnalysisInput& input, const FourierOptions& options);

}  // namespace passband
