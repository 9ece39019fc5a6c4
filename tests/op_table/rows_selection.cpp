// Rows of operations that choose elements: slices with a step, padding, elements by index.
#include <algorithm>

#include "tensor/ops/gather.h"
#include "tensor/ops/shape.h"
#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

// y[..., k, ...] = x[..., source(k), ...] for k < length along `dim`; 0 where the source is
// negative.
Reference chosen(int dim, int64_t length, std::function<int64_t(int64_t k, int64_t size)> source) {
  return [=](const Arrays& x) {
    const Shape& s = x[0].shape;
    const int64_t inner = s.inner(dim);
    Values y;
    for (int64_t o = 0; o < s.outer(dim); ++o)
      for (int64_t k = 0; k < length; ++k)
        for (int64_t i = 0; i < inner; ++i) {
          const int64_t from = source(k, s[dim]);
          y.push_back(from < 0 ? 0 : x[0][(o * s[dim] + from) * inner + i]);
        }
    return y;
  };
}

Row slice_row(const char* name, int dim, int64_t start, int64_t length, int64_t step,
              std::vector<Shapes> cases) {
  return {.name = name,
          .op = [=](const Tensors& x) { return slice(x[0], dim, start, length, step); },
          .cases = std::move(cases),
          .reference = chosen(dim, length, [=](int64_t k, int64_t) { return start + k * step; })};
}

const Register steps({
    slice_row("slice with a step", 1, 1, 3, 2, {{{2, 7, 3}}, {{3, 6}}, {{2, 9, 16}}}),
    slice_row("slice backwards", 0, 5, 3, -2, {{{7, 3}}, {{6}}}),
    slice_row("slice of the last dimension with a step", -1, 0, 4, 3, {{{3, 11}}, {{5, 10}}}),
    {.name = "flip",
     .op = [](const Tensors& x) { return flip(x[0], -2); },
     .cases = {{{2, 5, 3}}},
     .reference = chosen(1, 5, [](int64_t k, int64_t size) { return size - 1 - k; })},
});

// Where element k of a padded dimension comes from, found by walking.
int64_t reflected(int64_t k, int64_t before, int64_t size) {
  int64_t at = before == 0 ? 0 : before, direction = before == 0 ? 1 : -1;
  for (; k > 0; --k) {
    if (at == 0) direction = 1;
    if (at == size - 1 && direction == 1) direction = -1;
    at += direction;
  }
  return at;
}

Row pad_row(const char* name, PadMode mode, int dim, int64_t before, int64_t after,
            std::vector<Shapes> cases) {
  return {.name = name,
          .op = [=](const Tensors& x) { return pad(x[0], dim, before, after, mode); },
          .cases = cases,
          .reference = chosen(dim, before + cases[0][0][dim] + after,
                              [=](int64_t k, int64_t size) {
                                if (mode == PadMode::reflect) return reflected(k, before, size);
                                return std::clamp<int64_t>(k - before, 0, size - 1);
                              }),
          .terms = [=](const Shapes&) { return before + after + 1; }};
}

const Register paddings({
    pad_row("pad by reflection", PadMode::reflect, 1, 2, 3, {{{2, 4, 3}}, {{3, 4}}}),
    pad_row("pad by reflection at one side", PadMode::reflect, 0, 3, 0, {{{4, 2}}, {{4}}}),
    pad_row("pad by the edge", PadMode::edge, 1, 2, 3, {{{2, 4, 3}}, {{3, 4}}}),
    pad_row("pad by the edge of one", PadMode::edge, -1, 0, 2, {{{3, 1}}}),
});

// Indices of any shape into `size` rows, with repetitions.
Tensor indices_for(const Shape& shape, int64_t size, Device device) {
  Values index;
  for (int64_t i = 0; i < shape.numel(); ++i)
    index.push_back(static_cast<double>((5 * i + i / 3 + 1) % std::max<int64_t>(size, 1)));
  return Tensor::from(index, shape, DType::i32, device);
}

const Register along({
    {.name = "gather along the middle",
     .op =
         [](const Tensors& x) {
           return gather(x[0], indices_for({2, 3}, x[0].size(1), x[0].device()), 1);
         },
     .cases = {{{3, 5, 2}}, {{2, 4}}, {{2, 1, 3}}},
     .reference =
         [](const Arrays& x) {
           const Values index = indices_for({2, 3}, x[0].shape[1], {}).values();
           return chosen(1, 6, [&](int64_t k, int64_t) {
             return static_cast<int64_t>(index[static_cast<size_t>(k)]);
           })(x);
         },
     .terms = [](const Shapes&) { return int64_t{6}; }},
    {.name = "take_along",
     .op =
         [](const Tensors& x) {
           const Shape shape = x[0].shape().with(1, 4);
           return take_along(x[0], indices_for(shape, x[0].size(1), x[0].device()), 1);
         },
     .cases = {{{3, 5, 2}}, {{2, 7}}, {{3, 1, 4}}},
     .reference =
         [](const Arrays& x) {
           const Shape& s = x[0].shape;
           const int64_t inner = s.inner(1);
           const Values index = indices_for(s.with(1, 4), s[1], {}).values();
           Values y;
           for (size_t i = 0; i < index.size(); ++i) {
             const auto at = static_cast<int64_t>(i);
             y.push_back(x[0][(at / (4 * inner) * s[1] + static_cast<int64_t>(index[i])) * inner +
                              at % inner]);
           }
           return y;
         },
     .terms = [](const Shapes&) { return int64_t{4}; }},
    {.name = "add_along",
     .op =
         [](const Tensors& x) {
           return add_along(x[0], indices_for(x[0].shape(), 4, x[0].device()), -2, 4);
         },
     .cases = {{{3, 9, 2}}, {{5, 3}}, {{1, 1}}},
     .reference =
         [](const Arrays& x) {
           const Shape& s = x[0].shape;
           const int64_t n = s[-2], inner = s[-1];
           const Values index = indices_for(s, 4, {}).values();
           Values y(static_cast<size_t>(s.numel() / n * 4));
           for (size_t i = 0; i < index.size(); ++i) {
             const auto at = static_cast<int64_t>(i);
             y[static_cast<size_t>((at / (n * inner) * 4 + static_cast<int64_t>(index[i])) * inner +
                                   at % inner)] += x[0][at];
           }
           return y;
         },
     .terms = [](const Shapes& s) { return s[0][-2]; }},
});

}  // namespace
}  // namespace passband::op_table
