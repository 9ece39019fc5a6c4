// Small networks of every family, and pictures of noise, for tests of whole models.
#pragma once
#include <vector>

#include "tensor/core/random.h"
#include "tensor/core/tensor.h"

namespace passband::testing {

struct Family {
  const char* name;
  int64_t side;
};
inline const std::vector<Family> kFamilies = {{"CC.CC:basic,width=8", 16},
                                              {"CC.CC:bottleneck,width=8", 16},
                                              {"CC.CC:preact,width=8", 16},
                                              {"CC.CC:preact,bottleneck,width=8", 80},
                                              {"CC.CC:rs,bottleneck,width=8", 80},
                                              {"CL.LC:width=8,scope=5", 16},
                                              {"CL.LC:bottleneck,width=8,scope=0", 16},
                                              {"CL.LM:width=8,scope=5,heads=1,head_dim=8", 16},
                                              {"CM.MC:width=8,heads=1,head_dim=8", 16},
                                              {"WS.DP.UI.BC:width=8,head_dim=4,window=4", 16},
                                              {"CD.CW.CB.CUH:preact,width=8,head_dim=4", 16},
                                              {"C.CC:bit,width=32", 80},
                                              {"resnet", 16},
                                              {"resnet20", 8},
                                              {"alternet", 16},
                                              {"lambda_resnet", 16},
                                              {"vit", 16},
                                              {"swin", 16},
                                              {"pit", 16},
                                              {"twins", 16},
                                              {"mixer", 16},
                                              {"deit_tiny_distilled_patch8", 16},
                                              {"vit_hydra", 16},
                                              {"convvit", 16},
                                              {"cct_2_3x2", 16},
                                              {"airbench_8_8_8", 16},
                                              {"airbench_8_8_8_residual", 32},
                                              {"vit_tiny_patch8", 16}};

inline Tensor noise(const Shape& shape, uint64_t seed) {
  Tensor x = Tensor::empty(shape);
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data<float>()[i] = random_normal({seed, 0, site_of("noise")}, static_cast<uint64_t>(i));
  return x;
}

}  // namespace passband::testing
