// Resampling of a table over a grid to another grid, as PyTorch's interpolate(mode="bicubic",
// align_corners=False) has it: for position embeddings and tables of relative positions; and of
// the kernels of a patch embedding.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace passband {

struct TableGrid {
  int64_t rows = 0, columns = 0;
  bool operator==(const TableGrid&) const = default;
};

enum class CubicFilter {
  plain,        // four neighbours, a = -0.75, whatever the ratio of the grids
  antialiased,  // a = -0.5, widened by the ratio when the grid shrinks (Pillow's BICUBIC)
};

// table (from.rows, from.columns, depth) to (to.rows, to.columns, depth).
std::vector<float> resample_table(std::span<const float> table, TableGrid from, TableGrid to,
                                  int64_t depth, CubicFilter filter);

// kernels (count, from.rows, from.columns) to (count, to.rows, to.columns), such that a patch that
// is resized as the kernels are gives what it gave: by the pseudo-inverse of resizing (Beyer et al.
// 2023, section 3.4; timm's resample_patch_embed).
std::vector<float> resample_kernels(std::span<const float> kernels, int64_t count, TableGrid from,
                                    TableGrid to);

}  // namespace passband
