// Window geometry as the numbers of an attribute (tensor/autograd/trace.h).
#pragma once
#include <vector>

#include "tensor/ops/window.h"

namespace passband {

// {height, width}
inline std::vector<double> numbers(const PerAxis& axes) {
  return {static_cast<double>(axes.height), static_cast<double>(axes.width)};
}

// {top, bottom, left, right}
inline std::vector<double> numbers(const Padding& padding) {
  return {static_cast<double>(padding.top), static_cast<double>(padding.bottom),
          static_cast<double>(padding.left), static_cast<double>(padding.right)};
}

}  // namespace passband
