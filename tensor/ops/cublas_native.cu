// Matrix products by cuBLASLt. It knows column-major matrices only: our row-major c = a b is its
// c^T = b^T a^T, and a row-major operand is its transposed one, so nothing is copied. The bias and
// the residual are added by its epilogue, which also knows the GELU in its tanh form.
#include <cublasLt.h>

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "tensor/core/kernel_source.h"
#include "tensor/cuda/stream.h"
#include "tensor/ops/library_products.h"

namespace passband::cuda {
namespace {

void check(cublasStatus_t status, const char* what) {
  CHECK(status == CUBLAS_STATUS_SUCCESS, "cuBLASLt: ", what, ": ", cublasLtGetStatusString(status));
}

// One for each device. They live as long as the program, as the plans do: at exit the driver may be
// gone before they are.
cublasLtHandle_t handle() {
  static std::map<int, cublasLtHandle_t> handles;
  cublasLtHandle_t& here = handles[device_in_use()];
  if (!here) check(cublasLtCreate(&here), "create");
  return here;
}

struct Types {
  cudaDataType_t element, scale;
  cublasComputeType_t compute;
};

Types types_of(DType dtype) {
  switch (dtype) {
    case DType::bf16: return {CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case DType::f64: return {CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
    default: break;
  }
  return {CUDA_R_32F, CUDA_R_32F,
          tf32_allowed() ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F};
}

// A batch of row-major (rows, columns) matrices.
cublasLtMatrixLayout_t layout(cudaDataType_t type, int64_t rows, int64_t columns, int64_t batch) {
  cublasLtMatrixLayout_t made = nullptr;
  check(cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(columns),
                                   static_cast<uint64_t>(rows), columns),
        "layout");
  const auto count = static_cast<int32_t>(batch);
  const int64_t stride = rows * columns;
  check(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                         sizeof(count)),
        "batch");
  check(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                         sizeof(stride)),
        "batch");
  return made;
}

struct Plan {
  bool possible = false;
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  size_t workspace_bytes = 0;
};

// What its epilogue does, and with which memory.
struct Finish {
  cublasLtEpilogue_t kind = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;    // (n): added; or, where the epilogue sums columns, written
  const void* before = nullptr;  // (m, n): what goes into the GELU; written forward, read backward
};

template <class Value>
void set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute, Value value) {
  check(cublasLtMatmulDescSetAttribute(product, attribute, &value, sizeof(value)), "describe");
}

// The largest power of two up to 256 that divides the address.
uint32_t alignment_of(const void* address) {
  const auto bits = reinterpret_cast<uintptr_t>(address) | 256;
  return static_cast<uint32_t>(bits & (~bits + 1));
}

// Of a, b, residual (c where there is none), c; and of what the epilogue touches, bias and
// `before`: the search for an algorithm looks at those two addresses as well.
using Alignments = std::array<uint32_t, 6>;

void set_finish(const Plan& plan, const Finish& finish) {
  if (finish.bias) set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, finish.bias);
  if (finish.before) set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, finish.before);
}

void choose_algorithm(Plan& plan, const Alignments& alignments) {
  constexpr uint64_t kMostWorkspace = uint64_t{32} << 20;
  cublasLtMatmulPreference_t preference = nullptr;
  check(cublasLtMatmulPreferenceCreate(&preference), "preference");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
          "preference");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMostWorkspace);
  // Parts of a sum are added in the type they were summed in, and in order.
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
         static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  // Its first operand is our second.
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignments[1]);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignments[0]);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignments[2]);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignments[3]);
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle(), plan.product, plan.b, plan.a, plan.c, plan.c, preference, 1, &found, &count);
  cublasLtMatmulPreferenceDestroy(preference);
  plan.possible =
      status == CUBLAS_STATUS_SUCCESS && count > 0 && found.state == CUBLAS_STATUS_SUCCESS;
  plan.algorithm = found.algo;
  plan.workspace_bytes = found.workspaceSize;
}

Plan make_plan(const ProductShape& s, DType dtype, const Finish& finish,
               const Alignments& alignments) {
  const Types types = types_of(dtype);
  Plan plan;
  check(cublasLtMatmulDescCreate(&plan.product, types.compute, types.scale), "describe");
  set(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, s.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.product, CUBLASLT_MATMUL_DESC_TRANSB, s.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, finish.kind);
  if (finish.before) set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, s.n);
  set_finish(plan, finish);
  plan.a = s.transpose_a ? layout(types.element, s.k, s.m, s.batch)
                         : layout(types.element, s.m, s.k, s.batch);
  plan.b = s.transpose_b ? layout(types.element, s.n, s.k, s.batch)
                         : layout(types.element, s.k, s.n, s.batch);
  plan.c = layout(types.element, s.m, s.n, s.batch);
  choose_algorithm(plan, alignments);
  return plan;
}

const Plan& plan_for(const ProductShape& s, DType dtype, const Finish& finish,
                     const Alignments& alignments) {
  static std::map<std::vector<int64_t>, Plan> plans;
  std::vector<int64_t> key{device_in_use(),
                           s.batch,
                           s.m,
                           s.n,
                           s.k,
                           s.transpose_a,
                           s.transpose_b,
                           static_cast<int64_t>(dtype),
                           static_cast<int64_t>(finish.kind),
                           tf32_allowed()};
  key.insert(key.end(), alignments.begin(), alignments.end());
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  return plans.emplace(std::move(key), make_plan(s, dtype, finish, alignments)).first->second;
}

bool multiply(Tensor c, const Tensor& a, const Tensor& b, const Tensor& residual,
              const Finish& finish, const ProductShape& s) {
  const void* const added = residual.defined() ? residual.raw() : c.raw();
  const Alignments alignments{alignment_of(a.raw()),     alignment_of(b.raw()),
                              alignment_of(added),       alignment_of(c.raw()),
                              alignment_of(finish.bias), alignment_of(finish.before)};
  const Plan& plan = plan_for(s, c.dtype(), finish, alignments);
  if (!plan.possible) return false;
  set_finish(plan, finish);
  Tensor workspace =
      Tensor::empty({static_cast<int64_t>(plan.workspace_bytes)}, DType::u8, c.device());
  const double one_f64 = 1, residual_f64 = residual.defined() ? 1 : 0;
  const auto one_f32 = static_cast<float>(one_f64), residual_f32 = static_cast<float>(residual_f64);
  const bool wide = c.dtype() == DType::f64;
  const void* const alpha = wide ? static_cast<const void*>(&one_f64) : &one_f32;
  const void* const beta = wide ? static_cast<const void*>(&residual_f64) : &residual_f32;
  check(cublasLtMatmul(handle(), plan.product, alpha, b.raw(), plan.b, a.raw(), plan.a, beta, added,
                       plan.c, c.raw(), plan.c, &plan.algorithm, workspace.raw(),
                       plan.workspace_bytes, compute_stream()),
        "matmul");
  return true;
}

// It reads and writes what goes into a GELU by lines of whole 16 bytes.
bool is_possible_before(const Tensor& h) {
  constexpr int64_t kWidth = 8;
  return h.dtype() != DType::f64 && h.size(-1) % kWidth == 0 && alignment_of(h.raw()) >= 16;
}

const void* raw_or_null(const Tensor& x) { return x.defined() ? x.raw() : nullptr; }

}  // namespace

bool library_matmul(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  const Finish finish{e.bias.defined() ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT,
                      raw_or_null(e.bias)};
  return multiply(c, a, b, e.residual, finish, s);
}

bool library_linear_gelu(Tensor y, Tensor h, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, const ProductShape& s) {
  if (!is_possible_before(h.defined() ? h : y)) return false;
  const cublasLtEpilogue_t plain =
      bias.defined() ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  const cublasLtEpilogue_t keeping =
      bias.defined() ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
  return multiply(y, x, weight, {},
                  {h.defined() ? keeping : plain, raw_or_null(bias), raw_or_null(h)}, s);
}

bool library_gelu_gradient(Tensor dh, Tensor dbias, const Tensor& dy, const Tensor& weight,
                           const Tensor& h, const ProductShape& s) {
  if (!is_possible_before(h)) return false;
  const cublasLtEpilogue_t kind =
      dbias.defined() ? CUBLASLT_EPILOGUE_DGELU_BGRAD : CUBLASLT_EPILOGUE_DGELU;
  return multiply(dh, dy, weight, {}, {kind, raw_or_null(dbias), raw_or_null(h)}, s);
}

}  // namespace passband::cuda
