// Kernels of add_all_ (tensor/autograd/sum.h): y += x of each, all of one device.
#pragma once
#include "tensor/autograd/sum.h"

namespace passband {

namespace cpu {
void add_all(const std::vector<InPlaceSum>& sums);
}
namespace cuda {
void add_all(const std::vector<InPlaceSum>& sums);  // f32
}

}  // namespace passband
