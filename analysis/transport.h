// Relevance on its way from a layer to the one below: sparse matrices between token grids, and how
// attention probabilities, windows and changes of resolution become such matrices.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nn/tap.h"

namespace passband {

// A matrix of non-negative weights by rows. Row i tells where the relevance of place i of a layer
// came from: its columns are places of the layer below. Places are prefix tokens (class token)
// first, then the grid row-major.
class Transport {
 public:
  // `values` is rows x columns, row-major; zeros are not stored.
  static Transport dense(int64_t rows, int64_t columns, std::span<const double> values);
  static Transport identity(int64_t size);

  Transport() = default;
  explicit Transport(int64_t columns) : columns_(columns) {}  // no rows yet
  // Appends an entry to the last row begun; rows are filled in order.
  void begin_row();
  void add(int64_t column, double weight);

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  std::vector<double> row_sums() const;
  // Makes each row sum to 1; a row of zeros (nothing passes a dead place) stays.
  void normalise_rows();
  // from * this: the row vector `from` one layer down. Time and memory: the entries.
  std::vector<double> carry(const std::vector<double>& from) const;
  std::vector<double> values() const;  // dense, row-major

 private:
  int64_t rows_ = 0, columns_ = 0;
  std::vector<int64_t> start_ = {0};
  std::vector<int32_t> column_;
  std::vector<double> weight_;
};

// How the heads of a layer become one matrix.
enum class Fusion : uint8_t { mean, max, min };

// What one attention layer does to relevance.
enum class RolloutRule : uint8_t {
  // Abnar and Zuidema (ACL 2020): rows of (A + I) / 2, A fused over heads.
  attention,
  // vit-explain's gradient rollout: A is the positive part of mean_h(A_h dy_c/dA_h), then as above.
  gradient,
  // Chefer, Gur and Wolf (ICCV 2021): I + mean_h((A_h dy_c/dA_h)^+), not normalised.
  class_specific,
};

struct RolloutOptions {
  RolloutRule rule = RolloutRule::attention;
  Fusion fusion = Fusion::mean;  // of rule `attention`
  // Share of the smallest entries of a picture's fused matrix that is set to 0; columns of the
  // class token are kept.
  double discard = 0;
  // Normalises and discards as the script of github.com/jacobgil/vit-explain: column j is divided
  // by the sum of row j, and of the class token only its attention to itself is kept. Equal to ours
  // for mean fusion without discard.
  bool vit_explain = false;
};

// One picture's attention layer: probabilities and (rules with a class) their gradients of that
// class, windows x heads x T x T, T = prefix + tokens of a window. Windows of a shifted layer are
// put back in place.
Transport attention_transport(const TapSite& site, int64_t heads,
                              std::span<const float> probabilities,
                              std::span<const float> gradients, const RolloutOptions& options);

// Between grids: a place of the upper grid gets its relevance from the places of the lower grid
// that its area covers, in proportion to the overlap (strides, pooling, patch merging; an
// approximation for overlapping kernels). Prefix tokens keep theirs; where the lower layer has
// none, they pass nothing.
Transport area_transport(const TapSite& upper, const TapSite& lower);

// Relevance of the lowest layer's places, from that of the highest: steps[l] leads from layer l + 1
// down to layer l. A row vector: T^2 per layer where the product of matrices would take T^3.
std::vector<double> roll_down(const std::vector<Transport>& steps, std::vector<double> start);

}  // namespace passband
