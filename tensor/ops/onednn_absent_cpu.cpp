// What stands in for oneDNN in builds without it: nothing asks it to compute.
#include "tensor/cpu/onednn_engine.h"
#include "tensor/ops/conv_onednn.h"
#include "tensor/ops/matmul_onednn.h"

namespace passband::cpu {
namespace {

[[noreturn]] void fail() {
  throw Error("this build has no oneDNN: configure with -DPASSBAND_ONEDNN=ON");
}

}  // namespace

std::string onednn_version() { return {}; }
bool onednn_has_bf16() { return false; }

void onednn_forward(const ConvGeometry&, Tensor, const Tensor&, const Tensor&, const Tensor&) {
  fail();
}
void onednn_backward_input(const ConvGeometry&, Tensor, const Tensor&, const Tensor&) { fail(); }
void onednn_backward_weight(const ConvGeometry&, Tensor, const Tensor&, const Tensor&) { fail(); }
void matmul_onednn(Tensor, const Tensor&, const Tensor&, const Epilogue&, const ProductShape&) {
  fail();
}

}  // namespace passband::cpu
