// The norms, attention and the lambda layer written out as plain f64 loops over everything.
#pragma once
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/lambda.h"

namespace passband::reference {

using Values = std::vector<double>;

// y = gamma * (x - mean) / sqrt(var + eps) + beta; elements i and j share statistics when group(i)
// == group(j).
template <class Group> Values norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                   double eps, int64_t groups, const Group& group) {
  const Values v = x.values(), g = gamma.values(), b = beta.values();
  Values mean(static_cast<size_t>(groups)), square(mean), count(mean), y(v.size());
  for (size_t i = 0; i < v.size(); ++i) mean[group(i)] += v[i], count[group(i)] += 1;
  for (size_t k = 0; k < mean.size(); ++k) mean[k] /= count[k];
  for (size_t i = 0; i < v.size(); ++i)
    square[group(i)] += (v[i] - mean[group(i)]) * (v[i] - mean[group(i)]);
  for (size_t i = 0; i < v.size(); ++i) {
    const size_t c = i % g.size();
    y[i] =
        g[c] * (v[i] - mean[group(i)]) / std::sqrt(square[group(i)] / count[group(i)] + eps) + b[c];
  }
  return y;
}

inline Values batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         double eps = 1e-5) {
  const auto C = static_cast<size_t>(x.size(-1));
  return norm(x, gamma, beta, eps, x.size(-1), [C](size_t i) { return i % C; });
}

inline Values layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         double eps = 1e-6) {
  const auto C = static_cast<size_t>(x.size(-1));
  return norm(x, gamma, beta, eps, x.shape().outer(-1), [C](size_t i) { return i / C; });
}

inline Values group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int64_t groups,
                         double eps = 1e-5) {
  const auto C = static_cast<size_t>(x.size(3)), G = static_cast<size_t>(groups),
             image = static_cast<size_t>(x.shape().inner(0));
  return norm(x, gamma, beta, eps, x.size(0) * groups,
              [=](size_t i) { return i / image * G + i % C / (C / G); });
}

// Softmax attention over pairs of pixels that fall into one shifted window, on the side of the wrap
// they share.
inline Values attention(const Tensor& qkv, const Tensor& bias, const AttentionOptions& o) {
  const bool map = qkv.rank() == 4;
  const int64_t N = qkv.size(0), H = map ? qkv.size(1) : 1, W = qkv.size(-2), h = o.heads,
                d = qkv.size(-1) / (3 * h);
  const int64_t wh = o.window ? o.window : H, ww = o.window ? o.window : W;
  const double scale = o.scale != 0 ? o.scale : 1 / std::sqrt(static_cast<double>(d));
  const Values x = qkv.values(), table = bias.defined() ? bias.values() : Values{};
  Values y(static_cast<size_t>(N * H * W * h * d));
  const auto moved = [&](int64_t at, int64_t size) { return (at - o.shift + size) % size; };
  const auto visible = [&](int64_t a, int64_t b, int64_t size, int64_t window) {
    return moved(a, size) / window == moved(b, size) / window && (a < o.shift) == (b < o.shift);
  };
  const auto element = [&](int64_t n, int64_t r, int64_t c, int64_t part, int64_t head, int64_t i) {
    return x[((n * H + r) * W + c) * 3 * h * d + part * h * d + head * d + i];
  };
  for (int64_t n = 0; n < N; ++n)
    for (int64_t head = 0; head < h; ++head)
      for (int64_t qr = 0; qr < H; ++qr)
        for (int64_t qc = 0; qc < W; ++qc) {
          Values weight;
          std::vector<std::pair<int64_t, int64_t>> keys;
          for (int64_t kr = 0; kr < H; ++kr)
            for (int64_t kc = 0; kc < W; ++kc) {
              if (!visible(qr, kr, H, wh) || !visible(qc, kc, W, ww)) continue;
              double logit = 0;
              for (int64_t i = 0; i < d; ++i)
                logit += element(n, qr, qc, 0, head, i) * element(n, kr, kc, 1, head, i);
              logit *= scale;
              if (bias.defined()) {
                const int64_t row = moved(kr, H) - moved(qr, H) + ww - 1,
                              column = moved(kc, W) - moved(qc, W) + ww - 1;
                logit += table[(row * (2 * ww - 1) + column) * bias.size(1) + head % bias.size(1)];
              }
              weight.push_back(logit);
              keys.push_back({kr, kc});
            }
          const double top = *std::max_element(weight.begin(), weight.end());
          double total = 0;
          for (double& w : weight) total += w = std::exp(w - top);
          for (size_t j = 0; j < keys.size(); ++j)
            for (int64_t i = 0; i < d; ++i)
              y[((n * H + qr) * W + qc) * h * d + head * d + i] +=
                  weight[j] / total * element(n, keys[j].first, keys[j].second, 2, head, i);
        }
  return y;
}

// The paper's equations: lambda of each query, applied to the query of each head. `t` holds q,
// keys, values, the embedding and perhaps its bias.
inline Values lambda_layer(const std::vector<Tensor>& t, const LambdaOptions& o) {
  const int64_t batch = t[0].size(0), H = t[0].size(1), W = t[0].size(2), n = H * W;
  const int64_t h = o.heads, k = o.depth, u = o.intra_depth, v = t[2].size(3) / u;
  const Shape es = t[3].shape();
  const Values q = t[0].values(), keys = t[1].values(), values = t[2].values(), e = t[3].values();
  const Values bias =
      t.size() > 4 && t[4].defined() ? t[4].values() : Values(static_cast<size_t>(k));
  Values y(static_cast<size_t>(batch * n * h * v));
  const auto lambda = [&](int64_t b, int64_t query, int64_t kk, int64_t vv) {
    double sum = bias[kk];
    for (int64_t uu = 0; uu < u; ++uu) {
      double total = 0;
      for (int64_t m = 0; m < n; ++m) total += std::exp(keys[(b * n + m) * u * k + uu * k + kk]);
      for (int64_t m = 0; m < n; ++m) {
        double weight = std::exp(keys[(b * n + m) * u * k + uu * k + kk]) / total;
        const int64_t dy = m / W - query / W + (es[0] - 1) / 2,
                      dx = m % W - query % W + (es[1] - 1) / 2;
        if (dy >= 0 && dy < es[0] && dx >= 0 && dx < es[1])
          weight += e[((dy * es[1] + dx) * k + kk) * u + uu];
        sum += weight * values[(b * n + m) * u * v + uu * v + vv];
      }
    }
    return sum;
  };
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t query = 0; query < n; ++query)
      for (int64_t kk = 0; kk < k; ++kk)
        for (int64_t vv = 0; vv < v; ++vv) {
          const double applied = lambda(b, query, kk, vv);
          for (int64_t hh = 0; hh < h; ++hh)
            y[(b * n + query) * h * v + hh * v + vv] +=
                q[(b * n + query) * h * k + hh * k + kk] * applied;
        }
  return y;
}

}  // namespace passband::reference
