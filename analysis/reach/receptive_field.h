// Effective receptive fields (Luo et al., NeurIPS 2016; Raghu et al., NeurIPS 2021, section 4):
// which input pixels the centre of a layer's map depends on.
//
// With J_c(u, v, i) = d z_c(centre) / d x(u, v, i), the energy map of a layer is
//   E(u, v) = mean over pictures of (1 / C) sum_c sum_i J_c(u, v, i)^2
// and its root is the field (RMS gradient, in output units per input unit). Channels are never
// summed before the square, where they could cancel. For even maps the centre is (H / 2, W / 2),
// below and right of the middle.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "analysis/study/depth_axis.h"
#include "analysis/study/subject.h"

namespace passband {

struct ReceptiveField {
  int64_t height = 0, width = 0;  // of the input
  double centre_y = 0,
         centre_x =
             0;      // of the measured position, in input pixels; pixel i spans [i - 1/2, i + 1/2]
  double patch = 1;  // input pixels per step of the layer's grid
  std::vector<double> energy;  // (H, W)
  // (H, W): mean over pictures and channels of sum_i |J|; not from signs
  std::vector<double> absolute;

  // The map that sizes are read from: RMS gradient.
  std::vector<double> field() const;
};

enum class FieldEstimator : uint8_t {
  // E_s[(s^T J)^2] = sum_c J_c^2 for random signs s: `draws` backward passes per picture and layer,
  // unbiased.
  signs,
  exact,  // every channel in turn: C backward passes per picture and layer; also gives |J|
  // The script of RepLKNet, into `absolute` alone: the gradient of sum_c relu(z_c), its negative
  // part cut, summed over the input channels. One pass; channels cancel, so it is another quantity.
  // It reads areas off log_map.
  replknet,
};

// Where a layer's map is read.
enum class FieldTap : uint8_t { out, branch };  // after the residual addition, or before it
std::string_view name_of(FieldTap tap);

struct FieldOptions {
  int64_t images = 32;  // taken evenly from the data set
  int64_t batch_size = 32;
  int64_t draws = 4;  // of signs
  FieldEstimator estimator = FieldEstimator::signs;
  FieldTap tap = FieldTap::out;
  uint64_t seed = 0;
  Progress progress = {};
};

struct ReceptiveFields {
  DepthAxis axis;
  std::vector<ReceptiveField> fields;  // by layer
};

// Time: `draws` (or C) backward passes per picture and layer, each about as long as a forward pass
// to that layer. Memory: the graph of one batch.
ReceptiveFields measure_fields(const Model& model, const Dataset& data,
                               const FieldOptions& options);

// --- sizes of a map (H, W), all in input pixels ---

// Root of the mean of the two axes' variances of the map taken as a distribution: k x k means in n
// layers of stride 1 give sqrt(n (k^2 - 1) / 12). A flat map of side H gives sqrt((H^2 - 1) / 12).
double field_width(const std::vector<double>& map, int64_t height, int64_t width);
// Pixels above `share` of the peak. Luo et al.: 1 - 0.9545.
int64_t pixels_above(const std::vector<double>& map, double share = 0.0455);
// Share of the picture's area that the smallest square around (y, x) takes that holds more than
// `share` of the map (Ding et al., CVPR 2022: high-contribution area ratio; theirs is on log10(1 +
// map), see log_map).
double area_ratio(const std::vector<double>& map, int64_t height, int64_t width, double y, double x,
                  double share);
std::vector<double> log_map(const std::vector<double>& map);
// Share of the map within the centre's own grid cell.
double own_share(const std::vector<double>& map, const ReceptiveField& field);

}  // namespace passband
