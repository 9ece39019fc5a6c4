// Convolutions by cuDNN, in the layout of this project (NHWC, weights (O, kh, kw, I)). Without
// cuDNN nothing is possible.
#include "tensor/ops/library_products.h"

#ifdef PASSBAND_HAS_CUDNN
#include <cudnn.h>

#include <map>
#include <vector>

#include "tensor/core/kernel_source.h"
#include "tensor/cuda/stream.h"

namespace passband::cuda {
namespace {

void check(cudnnStatus_t status, const char* what) {
  CHECK(status == CUDNN_STATUS_SUCCESS, "cuDNN: ", what, ": ", cudnnGetErrorString(status));
}

// One for each device. They live as long as the program, as the plans do: at exit the driver may be
// gone before they are.
cudnnHandle_t handle() {
  static std::map<int, cudnnHandle_t> handles;
  cudnnHandle_t& here = handles[device_in_use()];
  if (!here) check(cudnnCreate(&here), "create");
  check(cudnnSetStream(here, compute_stream()), "stream");
  return here;
}

enum class CudnnCall : int64_t { forward, forward_with_bias, backward_input, backward_weight };

struct Plan {
  bool possible = false;
  cudnnTensorDescriptor_t x = nullptr, y = nullptr, bias = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnConvolutionDescriptor_t convolution = nullptr;
  cudnnActivationDescriptor_t identity = nullptr;
  int algorithm = 0;  // of the pass's own enumeration
  size_t workspace_bytes = 0;
};

cudnnDataType_t type_of(DType dtype) {
  if (dtype == DType::bf16) return CUDNN_DATA_BFLOAT16;
  return dtype == DType::f64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
}

cudnnMathType_t math_of(DType dtype) {
  if (dtype == DType::bf16) return CUDNN_TENSOR_OP_MATH;
  return dtype == DType::f32 && tf32_allowed() ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
}

cudnnTensorDescriptor_t image(cudnnDataType_t type, int64_t n, int64_t c, int64_t h, int64_t w) {
  const auto narrow = [](int64_t number) { return static_cast<int>(number); };
  cudnnTensorDescriptor_t made = nullptr;
  check(cudnnCreateTensorDescriptor(&made), "describe");
  check(cudnnSetTensor4dDescriptor(made, CUDNN_TENSOR_NHWC, type, narrow(n), narrow(c), narrow(h),
                                   narrow(w)),
        "describe");
  return made;
}

// False where cuDNN has no such convolution: it pads both ends of an axis alike.
bool describe(Plan& plan, const ConvGeometry& g, DType dtype) {
  const auto narrow = [](int64_t number) { return static_cast<int>(number); };
  const cudnnDataType_t type = type_of(dtype);
  plan.x = image(type, g.n, g.c, g.h, g.w);
  plan.y = image(type, g.n, g.o, g.ho, g.wo);
  plan.bias = image(type, 1, g.o, 1, 1);
  check(cudnnCreateFilterDescriptor(&plan.w), "describe");
  check(cudnnCreateConvolutionDescriptor(&plan.convolution), "describe");
  check(cudnnCreateActivationDescriptor(&plan.identity), "describe");
  check(cudnnSetActivationDescriptor(plan.identity, CUDNN_ACTIVATION_IDENTITY, CUDNN_PROPAGATE_NAN,
                                     0),
        "describe");
  const WindowAxis &rows = g.rows, &columns = g.columns;
  if (rows.before != rows.after || columns.before != columns.after) return false;
  return cudnnSetFilter4dDescriptor(plan.w, type, CUDNN_TENSOR_NHWC, narrow(g.o), narrow(g.ci),
                                    narrow(g.kh), narrow(g.kw)) == CUDNN_STATUS_SUCCESS &&
         cudnnSetConvolution2dDescriptor(
             plan.convolution, narrow(rows.before), narrow(columns.before), narrow(rows.stride),
             narrow(columns.stride), narrow(rows.dilation), narrow(columns.dilation),
             CUDNN_CROSS_CORRELATION,
             dtype == DType::f64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT) == CUDNN_STATUS_SUCCESS &&
         cudnnSetConvolutionGroupCount(plan.convolution, narrow(g.groups)) ==
             CUDNN_STATUS_SUCCESS &&
         cudnnSetConvolutionMathType(plan.convolution, math_of(dtype)) == CUDNN_STATUS_SUCCESS;
}

// Takes the first of what cuDNN proposes, best first, that gives the same bits every time. A
// proposal's memory is that of its own kind of arithmetic, so the convolution gets that too, unless
// it must keep to f32's.
template <class Performance, class Propose>
void choose_algorithm(Plan& plan, cudnnMathType_t math, Propose&& propose) {
  constexpr int kMost = 16;
  Performance proposals[kMost];
  int count = 0;
  if (propose(kMost, &count, proposals) != CUDNN_STATUS_SUCCESS) return;
  for (int i = 0; i < count && !plan.possible; ++i) {
    if (proposals[i].status != CUDNN_STATUS_SUCCESS ||
        proposals[i].determinism != CUDNN_DETERMINISTIC)
      continue;
    plan.possible = true;
    plan.algorithm = static_cast<int>(proposals[i].algo);
    plan.workspace_bytes = proposals[i].memory;
    if (math != CUDNN_FMA_MATH)
      check(cudnnSetConvolutionMathType(plan.convolution, proposals[i].mathType), "describe");
  }
}

Plan make_plan(CudnnCall pass, const ConvGeometry& g, DType dtype) {
  Plan plan;
  if (!describe(plan, g, dtype)) return plan;
  const cudnnHandle_t h = handle();
  const cudnnMathType_t math = math_of(dtype);
  switch (pass) {
    case CudnnCall::forward:
      choose_algorithm<cudnnConvolutionFwdAlgoPerf_t>(
          plan, math, [&](int most, int* count, auto* proposals) {
            return cudnnGetConvolutionForwardAlgorithm_v7(h, plan.x, plan.w, plan.convolution,
                                                          plan.y, most, count, proposals);
          });
      break;
    case CudnnCall::forward_with_bias:  // without an activation it takes this algorithm alone
      plan.algorithm = static_cast<int>(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM);
      plan.possible =
          cudnnGetConvolutionForwardWorkspaceSize(h, plan.x, plan.w, plan.convolution, plan.y,
                                                  CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                                                  &plan.workspace_bytes) == CUDNN_STATUS_SUCCESS;
      break;
    case CudnnCall::backward_input:
      choose_algorithm<cudnnConvolutionBwdDataAlgoPerf_t>(
          plan, math, [&](int most, int* count, auto* proposals) {
            return cudnnGetConvolutionBackwardDataAlgorithm_v7(h, plan.w, plan.y, plan.convolution,
                                                               plan.x, most, count, proposals);
          });
      break;
    case CudnnCall::backward_weight:
      choose_algorithm<cudnnConvolutionBwdFilterAlgoPerf_t>(
          plan, math, [&](int most, int* count, auto* proposals) {
            return cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                h, plan.x, plan.y, plan.convolution, plan.w, most, count, proposals);
          });
      break;
  }
  return plan;
}

const Plan& plan_for(CudnnCall pass, const ConvGeometry& g, DType dtype) {
  static std::map<std::vector<int64_t>, Plan> plans;
  const auto numbers = g.numbers();
  std::vector<int64_t> key(numbers.begin(), numbers.end());
  key.insert(key.end(), {static_cast<int64_t>(pass), static_cast<int64_t>(dtype), tf32_allowed(),
                         device_in_use()});
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  return plans.emplace(key, make_plan(pass, g, dtype)).first->second;
}

// Calls `run(plan, 1, 0, workspace)` with the factors of the new and the old result in the type
// cuDNN wants.
template <class F>
bool run(CudnnCall pass, const ConvGeometry& g, const Tensor& result, const char* what, F&& call) {
  const Plan& plan = plan_for(pass, g, result.dtype());
  if (!plan.possible) return false;
  Tensor workspace =
      Tensor::empty({static_cast<int64_t>(plan.workspace_bytes)}, DType::u8, result.device());
  const double one_f64 = 1, zero_f64 = 0;
  const float one_f32 = 1, zero_f32 = 0;
  const bool wide = result.dtype() == DType::f64;
  check(call(plan, wide ? static_cast<const void*>(&one_f64) : &one_f32,
             wide ? static_cast<const void*>(&zero_f64) : &zero_f32, workspace.raw()),
        what);
  return true;
}

}  // namespace

bool library_conv2d_forward(Tensor y, const Tensor& x, const Tensor& w, const Tensor& bias,
                            const ConvGeometry& g) {
  const CudnnCall pass = bias.defined() ? CudnnCall::forward_with_bias : CudnnCall::forward;
  return run(
      pass, g, y, "conv2d", [&](const Plan& p, const void* one, const void* zero, void* workspace) {
        const auto algorithm = static_cast<cudnnConvolutionFwdAlgo_t>(p.algorithm);
        if (!bias.defined())
          return cudnnConvolutionForward(handle(), one, p.x, x.raw(), p.w, w.raw(), p.convolution,
                                         algorithm, workspace, p.workspace_bytes, zero, p.y,
                                         y.raw());
        return cudnnConvolutionBiasActivationForward(
            handle(), one, p.x, x.raw(), p.w, w.raw(), p.convolution, algorithm, workspace,
            p.workspace_bytes, zero, p.y, y.raw(), p.bias, bias.raw(), p.identity, p.y, y.raw());
      });
}

bool library_conv2d_backward_input(Tensor dx, const Tensor& dy, const Tensor& w,
                                   const ConvGeometry& g) {
  return run(CudnnCall::backward_input, g, dx, "conv2d_input_gradient",
             [&](const Plan& p, const void* one, const void* zero, void* workspace) {
               return cudnnConvolutionBackwardData(
                   handle(), one, p.w, w.raw(), p.y, dy.raw(), p.convolution,
                   static_cast<cudnnConvolutionBwdDataAlgo_t>(p.algorithm), workspace,
                   p.workspace_bytes, zero, p.x, dx.raw());
             });
}

bool library_conv2d_backward_weight(Tensor dw, const Tensor& dy, const Tensor& x,
                                    const ConvGeometry& g) {
  return run(CudnnCall::backward_weight, g, dw, "conv2d_weight_gradient",
             [&](const Plan& p, const void* one, const void* zero, void* workspace) {
               return cudnnConvolutionBackwardFilter(
                   handle(), one, p.x, x.raw(), p.y, dy.raw(), p.convolution,
                   static_cast<cudnnConvolutionBwdFilterAlgo_t>(p.algorithm), workspace,
                   p.workspace_bytes, zero, p.w, dw.raw());
             });
}

}  // namespace passband::cuda

#else

namespace passband::cuda {

bool library_conv2d_forward(Tensor, const Tensor&, const Tensor&, const Tensor&,
                            const ConvGeometry&) {
  return false;
}
bool library_conv2d_backward_input(Tensor, const Tensor&, const Tensor&, const ConvGeometry&) {
  return false;
}
bool library_conv2d_backward_weight(Tensor, const Tensor&, const Tensor&, const ConvGeometry&) {
  return false;
}

}  // namespace passband::cuda

#endif
