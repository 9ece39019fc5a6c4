// Checks the exercises of lesson 3 against sums in f64, written down as loops.
#include "experiments/course/lesson-3/exercises.h"

#include <cmath>

#include "experiments/course/check.h"

using namespace passband;

namespace {

struct Inputs {
  Tensor q, k, v;
};

Inputs inputs(int64_t queries, int64_t keys, int64_t depth, int64_t value_depth) {
  Generator random(7);
  return {Tensor::randn({queries, depth}, random.next()),
          Tensor::randn({keys, depth}, random.next()),
          Tensor::randn({keys, value_depth}, random.next())};
}

// Channels first to first + d of q and k, and to first + e of v; scores times `scale`.
std::vector<double> loops(const Inputs& in, int64_t first, int64_t d, int64_t e, double scale) {
  const std::vector<double> q = in.q.values(), k = in.k.values(), v = in.v.values();
  const int64_t keys = in.k.size(0), width = in.q.size(1), value_width = in.v.size(1);
  std::vector<double> result;
  for (int64_t t = 0; t < in.q.size(0); ++t) {
    std::vector<double> sums(static_cast<size_t>(e));
    double total = 0;
    for (int64_t s = 0; s < keys; ++s) {
      double score = 0;
      for (int64_t i = first; i < first + d; ++i)
        score += q[static_cast<size_t>(t * width + i)] * k[static_cast<size_t>(s * width + i)];
      const double weight = std::exp(score * scale);
      total += weight;
      for (int64_t i = 0; i < e; ++i)
        sums[static_cast<size_t>(i)] +=
            weight * v[static_cast<size_t>(s * value_width + first + i)];
    }
    for (const double sum : sums) result.push_back(sum / total);
  }
  return result;
}

std::string check_attention() {
  const Inputs in = inputs(5, 7, 4, 3);
  const Tensor given = attention(in.q, in.k, in.v);
  const auto is = [&](double scale) {
    return course::close(given, Tensor::from(loops(in, 0, 4, 3, scale), {5, 3}));
  };
  if (is(0.5)) return "";
  if (is(1)) return "the scores are not divided by sqrt(d)";
  if (is(0.25)) return "the scores are divided by d; by its square root they should be";
  if (course::close(given, Tensor::zeros({5, 3})))
    return "all zeros; begin with the scores: matmul(q, k, {.transpose_b = true})";
  return "softmax goes over the keys (the last dimension of the scores), then multiply by v";
}

std::string check_heads() {
  const Inputs in = inputs(6, 6, 12, 12);
  for (const int64_t heads : {1, 3, 4}) {
    const int64_t depth = 12 / heads;
    const Tensor given = multi_head_attention(in.q, in.k, in.v, heads);
    std::vector<double> want(72), one_scale(72);
    for (int64_t h = 0; h < heads; ++h) {
      const std::vector<double> right = loops(in, h * depth, depth, depth, 1 / std::sqrt(depth));
      const std::vector<double> wrong = loops(in, h * depth, depth, depth, 1 / std::sqrt(12.0));
      for (int64_t i = 0; i < 6 * depth; ++i) {
        const auto at = static_cast<size_t>(i / depth * 12 + h * depth + i % depth);
        want[at] = right[static_cast<size_t>(i)];
        one_scale[at] = wrong[static_cast<size_t>(i)];
      }
    }
    if (course::close(given, Tensor::from(want, {6, 12}))) continue;
    if (course::close(given, Tensor::from(one_scale, {6, 12})))
      return "nearly: a head's d is width / heads, and its scores are divided by the root of that";
    if (heads == 1) return "with one head it is exercise 1; is that right?";
    return "with " + std::to_string(heads) +
           " heads: each has its own softmax, over the products of its own channels";
  }
  return "";
}

}  // namespace

int main() { return course::check_exercises({check_attention, check_heads}); }
