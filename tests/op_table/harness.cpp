// Draws inputs, compares with tolerances, looks at the bytes past a tensor.
#include "tests/op_table/harness.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>

#include "tensor/core/random.h"
#include "tensor/ops/shape.h"

namespace passband::op_table {
namespace {

double draw(RandomSequence& random, Domain domain) {
  switch (domain) {
    case Domain::normal: return static_cast<double>(random.normal());
    case Domain::positive:
    case Domain::probabilities: return 0.5 + 1.5 * static_cast<double>(random.uniform());
    case Domain::away_from_zero: {
      const double size = 0.1 + 1.9 * static_cast<double>(random.uniform());
      return random.next() & 1u ? size : -size;
    }
    case Domain::distinct: break;
  }
  return 0;
}

void normalise_rows(std::vector<double>& values, int64_t width) {
  const auto n = static_cast<size_t>(width);
  if (n == 0) return;
  for (size_t row = 0; row + n <= values.size(); row += n) {
    const double total = std::accumulate(values.begin() + static_cast<ptrdiff_t>(row),
                                         values.begin() + static_cast<ptrdiff_t>(row + n), 0.0);
    for (size_t i = 0; i < n; ++i) values[row + i] /= total;
  }
}

// A shuffle of 0 ... n - 1.
std::vector<int64_t> shuffled(RandomSequence& random, int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = n - 1; i > 0; --i)
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(random.below(i + 1))]);
  return order;
}

Input input_of(const Row& row, size_t i) { return i < row.inputs.size() ? row.inputs[i] : Input{}; }

// Bytes of the block that holds `bytes` bytes, as the allocator counts them.
int64_t block_bytes(int64_t bytes) {
  const int64_t before = memory_statistics().live_bytes;
  Tensor probe = Tensor::empty({bytes}, DType::u8);
  return memory_statistics().live_bytes - before;
}

}  // namespace

void for_each_case(const Wanted& wanted, const Check& check) {
  for (const Row& row : rows()) {
    if (!wanted(row)) continue;
    for (size_t at = 0; at < row.cases.size(); ++at) {
      std::string shapes;
      for (const Shape& shape : row.cases[at]) shapes += shape.str() + " ";
      INFO(row.name, " on ", shapes);
      try {
        check(row, at);
      } catch (const Error& error) {
        FAIL_CHECK("threw: ", std::string(error.what()));
      }
    }
  }
}

Tensors make_inputs(const Row& row, size_t at, DType dtype) {
  const Shapes& shapes = row.cases[at];
  RandomSequence random({.seed = 1, .step = at, .site = site_of(row.name)});
  int64_t total = 0;
  for (const Shape& shape : shapes) total += shape.numel();
  const std::vector<int64_t> places = shuffled(random, total);
  Tensors inputs;
  int64_t used = 0;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const Input input = input_of(row, i);
    std::vector<double> values(static_cast<size_t>(shapes[i].numel()));
    for (double& value : values) {
      const int64_t place = places[static_cast<size_t>(used++)];
      value = input.domain == Domain::distinct
                  ? 0.05 * static_cast<double>(place - total / 2) + 0.025
                  : draw(random, input.domain);
    }
    if (input.domain == Domain::probabilities) normalise_rows(values, shapes[i][-1]);
    const bool wide = input.parameter && dtype == DType::bf16;
    inputs.push_back(Tensor::from(values, shapes[i], wide ? DType::f32 : dtype));
  }
  return inputs;
}

std::vector<Row> emptied(const Row& row, size_t at) {
  // Which dimensions agree is not known: alone, all of the same size, and these at the same place.
  using Agrees = std::function<bool(size_t input, int dim, size_t other, int place)>;
  const Shapes& shapes = row.cases[at];
  const std::vector<Agrees> ways = {
      [](size_t input, int dim, size_t other, int place) { return input == other && dim == place; },
      [](size_t, int dim, size_t, int place) { return dim == place; },
      [](size_t input, int, size_t other, int) { return input == other; },
      [](size_t, int, size_t, int) { return true; }};
  std::map<std::string, Row> found;
  for (size_t i = 0; i < shapes.size(); ++i)
    for (int d = 0; d < shapes[i].rank(); ++d)
      for (const Agrees& agrees : ways) {
        Row empty = row;
        empty.cases = {shapes};
        empty.terms = [terms = row.terms(shapes)](const Shapes&) { return terms; };
        std::string text;
        for (size_t j = 0; j < shapes.size(); ++j) {
          for (int e = 0; e < shapes[j].rank(); ++e)
            if (shapes[j][e] == shapes[i][d] && agrees(i, d, j, e))
              empty.cases[0][j] = empty.cases[0][j].with(e, 0);
          text += empty.cases[0][j].str();
        }
        found.emplace(text, std::move(empty));
      }
  std::vector<Row> rows;
  for (auto& [text, empty] : found) rows.push_back(std::move(empty));
  return rows;
}

Tensors in_f64(const Tensors& inputs) {
  Tensors result;
  for (const Tensor& input : inputs)
    result.push_back(Tensor::from(input.values(), input.shape(), DType::f64));
  return result;
}

Arrays as_arrays(const Tensors& inputs) {
  Arrays result;
  for (const Tensor& input : inputs) result.push_back({input.shape(), input.values()});
  return result;
}

Tensors as_leaves(const Row& row, const Tensors& inputs) {
  Tensors result;
  for (size_t i = 0; i < inputs.size(); ++i)
    result.push_back(input_of(row, i).differentiable ? inputs[i].leaf() : inputs[i]);
  return result;
}

Tensors differentiable(const Row& row, const Tensors& inputs) {
  Tensors result;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (input_of(row, i).differentiable) result.push_back(inputs[i]);
  return result;
}

Tensor random_like(const Tensor& like, uint64_t salt) {
  RandomSequence random({.seed = 2, .step = salt, .site = static_cast<uint64_t>(like.numel())});
  std::vector<double> values(static_cast<size_t>(like.numel()));
  for (double& value : values) value = static_cast<double>(random.normal());
  return Tensor::from(values, like.shape(), like.dtype(), like.device());
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.numel() * size_of(a.dtype()))) == 0;
}

Comparison compare(const std::vector<double>& got, std::span<const double> want, double scale) {
  Comparison result;
  PASSBAND_CHECK(got.size() == want.size(), "compare: ", got.size(), " elements instead of ",
                 want.size());
  double squares = 0;
  for (const double value : want) squares += std::isfinite(value) ? value * value : 0;
  const double rms = std::sqrt(squares / static_cast<double>(std::max<size_t>(want.size(), 1)));
  for (size_t i = 0; i < want.size(); ++i) {
    const bool same = got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]));
    const double allowed = scale * std::max(std::abs(want[i]), rms);
    double error = same ? 0 : std::abs(got[i] - want[i]) / allowed;
    if (std::isnan(error)) error = std::numeric_limits<double>::infinity();
    if (error > result.worst) result = {error, i, got[i], want[i]};
  }
  return result;
}

std::string describe(const Comparison& comparison) {
  return concat_text("element ", comparison.at, " is ", comparison.got, ", not ", comparison.want,
                     " (", comparison.worst, " times the allowance)");
}

double epsilon_of(DType dtype) {
  if (dtype == DType::f64) return 0.25e-12;
  return dtype == DType::f32 ? 0x1p-23 : 0x1p-8;
}

double allowance(const Row& row, size_t at, DType dtype, double tolerance) {
  return tolerance * epsilon_of(dtype) * std::sqrt(static_cast<double>(row.terms(row.cases[at])));
}

bool padding_untouched(const Tensor& tensor) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(tensor.storage()->data());
  return std::all_of(bytes + tensor.storage()->bytes(),
                     bytes + block_bytes(tensor.storage()->bytes()),
                     [](unsigned char byte) { return byte == 0xff; });
}

}  // namespace passband::op_table
