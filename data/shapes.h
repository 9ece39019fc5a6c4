// `shapes`: pictures for asking a network which cue it uses, a figure's outline or its texture.
//
// Each picture shows one figure on a plain ground with a slow shading. Two cues are drawn:
//
//   shape    what the outline is. The figure spans about half of the picture, turned by up to 20
//            degrees and shifted, so its power lies at low frequency (over 90 % of it below 4
//            cycles per image).
//   texture  what fills the figure: a sum of plane waves cos(2 pi (fx x + fy y) / size + phase),
//            (fx, fy) being whole numbers of cycles per image and the phase random. Its spectrum is
//            known exactly:
//
//     id  name               (fx, fy) in cycles per image           radius
//     0   coarse rows        (0, 5)                                 5
//     1   fine columns       (11, 0)                                11
//     2   coarse checker     (4, 4), (4, -4)                        5.7
//     3   fine noise         24 waves with 10 <= radius <= 13       10 to 13
//     4   fine rows          (0, 11)                                11
//     5   coarse columns     (5, 0)                                 5
//     6   fine checker       (8, 8), (8, -8)                        11.3
//     7   coarse noise       24 waves with 4 <= radius <= 6         4 to 6
//     8   middle diagonals   (6, 6) or (6, -6)                      8.5
//     9   plain              no wave                                none
//
// Frequencies are per image, not per pixel: a larger picture shows the same content with more
// pixels. No texture changes its name under a horizontal flip, so flips remain a valid
// augmentation. With independent cues, a linear classifier of the pixels names 15 % of the figures
// and a nearest neighbour among 8,000 pictures 40 %: easy for a network, not for a template.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace passband {

struct DataSplits;

enum class Cue { shape, texture };

constexpr int64_t kShapeCues = 10;  // figures, and as many textures

constexpr std::array<std::string_view, kShapeCues> kShapeNames = {
    "disc", "square",   "triangle",  "plus",  "star",
    "ring", "crescent", "hourglass", "arrow", "semicircle"};
constexpr std::array<std::string_view, kShapeCues> kTextureNames = {
    "coarse rows",    "fine columns", "coarse checker", "fine noise",       "fine rows",
    "coarse columns", "fine checker", "coarse noise",   "middle diagonals", "plain"};

// Class k pairs figure k with texture k. `conflict` is the probability that the cue which does not
// define the label belongs to another class: 0 = both cues agree (either one solves the task), 1 =
// they never agree (the pictures that reveal which one a network uses), empty = drawn independently
// (agreement by chance, 1 in `classes`).
struct ShapesOptions {
  int64_t size = 32;     // pixels, 28 to 512 (fx = 13 must stay below size / 2)
  int64_t classes = 10;  // 2 to 10
  int64_t train_count = 10000, test_count = 2000;
  std::optional<double> conflict = {};       // in the training pictures, 0 to 1
  std::optional<double> test_conflict = {};  // in the test pictures; empty: as in training
  Cue label = Cue::shape;                    // which cue the label names
  uint64_t seed = 0;  // pictures are a pure function of (options, index), whatever the thread count
};

// The same as words of a configuration.
struct ShapesWords {
  std::string label = "shape";           // shape, texture
  std::string conflict = "independent";  // or a number from 0 to 1
  std::string test_conflict = "same";    // as in training; or as `conflict`
  int64_t train_count = 10000, test_count = 2000, classes = kShapeCues;
  uint64_t seed = 0;
};

// Throws UsageError naming the word that is wrong.
ShapesOptions shapes_options(const ShapesWords& words);

// One plane wave of a texture.
struct PlaneWave {
  int fx = 0, fy = 0;  // cycles per image
  float phase = 0;     // radians
  float amplitude = 1;
};

// The waves of texture `id` (0 to 9), with unit RMS over the image (none for "plain"). Phases, the
// choice between (6, 6) and (6, -6), and the waves of the noises are drawn from `seed`.
std::vector<PlaneWave> texture_waves(int64_t id, uint64_t seed);

// The texture alone over a whole size x size image, row-major.
std::vector<float> render_texture(const std::vector<PlaneWave>& waves, int64_t size);

// Signed distance, negative inside, from (x, y) to figure `id`, which fits the unit circle around 0
// (y points down). Exact for polygons; a bound of the right sign for crescent and semicircle away
// from their outlines.
float shape_distance(int64_t id, float x, float y);

// Makes both splits. Labels cycle through the classes, so counts per class differ by at most one.
// Throws UsageError for options out of range.
DataSplits make_shapes(const ShapesOptions& options);

}  // namespace passband
