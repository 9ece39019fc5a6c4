// Shared by the drivers: inputs for a case, comparison with tolerances, and memory that shows
// stray writes.
#pragma once
#include <doctest/doctest.h>

#include <span>

#include "tensor/autograd/engine.h"
#include "tests/op_table/op_table.h"

namespace passband::op_table {

// Calls check(row, case number) for every case of every row that `wanted` accepts, with the row
// named in failures.
using Wanted = std::function<bool(const Row&)>;
using Check = std::function<void(const Row&, size_t)>;
void for_each_case(const Wanted& wanted, const Check& check);

// Reproducible inputs for a case, drawn in f64 and rounded to `dtype` (f32 for parameters of a bf16
// run).
Tensors make_inputs(const Row& row, size_t at, DType dtype);
// The row with one case: case `at` with zeros in place of one dimension of one input and of those
// that have to agree with it; one row for each choice.
std::vector<Row> emptied(const Row& row, size_t at);
// The same values in f64.
Tensors in_f64(const Tensors& inputs);
Arrays as_arrays(const Tensors& inputs);
// Leaves where the row is differentiable, the tensors as they are elsewhere.
Tensors as_leaves(const Row& row, const Tensors& inputs);
// The differentiable ones among `inputs`.
Tensors differentiable(const Row& row, const Tensors& inputs);
// Reproducible normal numbers of the shape and type of `like`; `salt` tells streams apart.
Tensor random_like(const Tensor& like, uint64_t salt);

// True when all elements have the same bits.
bool same_bits(const Tensor& a, const Tensor& b);

// The largest error in units of its allowance, scale * max(|want|, rms(want)); infinite when an
// infinity or a NaN of one side is not the same in the other. 1 or less passes.
struct Comparison {
  double worst = 0;
  size_t at = 0;
  double got = 0, want = 0;
};
Comparison compare(const std::vector<double>& got, std::span<const double> want, double scale);
std::string describe(const Comparison& comparison);

// eps of the type the op stores results in, for the formula in op_table.h.
double epsilon_of(DType dtype);
double allowance(const Row& row, size_t at, DType dtype, double tolerance);

// Whether the bytes between the end of `tensor` and the end of its block are 0xff, as
// fill_fresh_memory(true) made them.
bool padding_untouched(const Tensor& tensor);

}  // namespace passband::op_table
