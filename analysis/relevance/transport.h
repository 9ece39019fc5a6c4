// Relevance on its way from a layer to the one below: sparse matrices between token grids, and how
// changes of resolution become such matrices. Attention layers have matrices of their own
// (attention_step.h).
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

// Between grids: a place of the upper grid gets its relevance from the places of the lower grid
// that its area covers, in proportion to the overlap (strides, pooling, patch merging; an
// approximation for overlapping kernels). Prefix tokens keep theirs; where the lower layer has
// none, they pass nothing.
Transport area_transport(const TapSite& upper, const TapSite& lower);

}  // namespace passband
