// Figures as signed distances, textures as sums of plane waves, and the pictures made of the two.
#include "data/shapes.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <span>
#include <string>

#include "data/dataset.h"
#include "data/readers.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random.h"

namespace passband {
namespace {

constexpr float kPi = std::numbers::pi_v<float>;

struct Point {
  float x, y;
};

constexpr Point kSquare[] = {{-0.75f, -0.75f}, {0.75f, -0.75f}, {0.75f, 0.75f}, {-0.75f, 0.75f}};
constexpr Point kTriangle[] = {{0, -1}, {0.866f, 0.5f}, {-0.866f, 0.5f}};
constexpr Point kPlus[] = {{-0.3f, -0.95f}, {0.3f, -0.95f}, {0.3f, -0.3f},   {0.95f, -0.3f},
                           {0.95f, 0.3f},   {0.3f, 0.3f},   {0.3f, 0.95f},   {-0.3f, 0.95f},
                           {-0.3f, 0.3f},   {-0.95f, 0.3f}, {-0.95f, -0.3f}, {-0.3f, -0.3f}};
constexpr Point kStar[] = {
    {0, -1},    {0.247f, -0.34f},  {0.951f, -0.309f}, {0.399f, 0.13f},    {0.588f, 0.809f},
    {0, 0.42f}, {-0.588f, 0.809f}, {-0.399f, 0.13f},  {-0.951f, -0.309f}, {-0.247f, -0.34f}};
constexpr Point kHourglass[] = {{-0.72f, -0.8f}, {0.72f, -0.8f}, {0.12f, 0},
                                {0.72f, 0.8f},   {-0.72f, 0.8f}, {-0.12f, 0}};
constexpr Point kArrow[] = {{0, -1},        {0.8f, -0.05f},  {0.3f, -0.05f}, {0.3f, 0.95f},
                            {-0.3f, 0.95f}, {-0.3f, -0.05f}, {-0.8f, -0.05f}};

// Distance to the nearest edge; the sign comes from counting crossings of the ray to the left.
float polygon_distance(std::span<const Point> corners, float x, float y) {
  float nearest = 1e9f;
  bool inside = false;
  Point a = corners.back();
  for (const Point& b : corners) {
    const float ex = a.x - b.x, ey = a.y - b.y, px = x - b.x, py = y - b.y;
    const float along = std::clamp((px * ex + py * ey) / (ex * ex + ey * ey), 0.0f, 1.0f);
    const float dx = px - ex * along, dy = py - ey * along;
    nearest = std::min(nearest, dx * dx + dy * dy);
    if ((b.y > y) != (a.y > y) && x < b.x + ex * (y - b.y) / ey) inside = !inside;
    a = b;
  }
  return inside ? -std::sqrt(nearest) : std::sqrt(nearest);
}

}  // namespace

float shape_distance(int64_t id, float x, float y) {
  switch (id) {
    case 0: return std::hypot(x, y) - 0.9f;
    case 1: return polygon_distance(kSquare, x, y);
    case 2: return polygon_distance(kTriangle, x, y);
    case 3: return polygon_distance(kPlus, x, y);
    case 4: return polygon_distance(kStar, x, y);
    case 5: return std::abs(std::hypot(x, y) - 0.68f) - 0.24f;
    case 6: return std::max(std::hypot(x, y) - 0.95f, 0.75f - std::hypot(x - 0.5f, y));
    case 7: return polygon_distance(kHourglass, x, y);
    case 8: return polygon_distance(kArrow, x, y);
    case 9: return std::max(std::hypot(x, y - 0.4f) - 0.98f, y - 0.4f);
    default: throw Error(concat_text("shape_distance: figures are 0 to 9, not ", id));
  }
}

namespace {

// `count` different waves with low <= radius <= high, one of each pair (f, -f).
std::vector<PlaneWave> band_noise(float low, float high, size_t count, RandomSequence& random) {
  std::vector<PlaneWave> waves;
  const int limit = static_cast<int>(high);
  for (int fy = 0; fy <= limit; ++fy)
    for (int fx = fy == 0 ? 1 : -limit; fx <= limit; ++fx) {
      const float radius = std::hypot(static_cast<float>(fx), static_cast<float>(fy));
      if (radius >= low && radius <= high) waves.push_back({fx, fy});
    }
  for (size_t k = 0; k < count; ++k)
    std::swap(waves[k], waves[k + random.below(static_cast<int64_t>(waves.size() - k))]);
  waves.resize(count);
  return waves;
}

std::vector<PlaneWave> choose_waves(int64_t id, RandomSequence& random) {
  switch (id) {
    case 0: return {{0, 5}};
    case 1: return {{11, 0}};
    case 2: return {{4, 4}, {4, -4}};
    case 3: return band_noise(10, 13, 24, random);
    case 4: return {{0, 11}};
    case 5: return {{5, 0}};
    case 6: return {{8, 8}, {8, -8}};
    case 7: return band_noise(4, 6, 24, random);
    case 8: return {{6, random.below(2) ? 6 : -6}};
    case 9: return {};
    default: throw Error(concat_text("texture_waves: textures are 0 to 9, not ", id));
  }
}

// out += sum of waves. Along a row, cos(a + b) = cos a cos b - sin a sin b with b fixed: no cosine
// per pixel.
void add_waves(std::span<const PlaneWave> waves, int64_t size, float* out) {
  std::vector<float> across(size * 2);
  for (const PlaneWave& wave : waves) {
    const float step = 2 * kPi / static_cast<float>(size);
    for (int64_t x = 0; x < size; ++x) {
      const float a = step * static_cast<float>(wave.fx * x % size);
      across[x] = wave.amplitude * std::cos(a);
      across[size + x] = wave.amplitude * std::sin(a);
    }
    for (int64_t y = 0; y < size; ++y) {
      const float b = step * static_cast<float>(wave.fy * y % size) + wave.phase;
      const float c = std::cos(b), s = std::sin(b);
      float* row = out + y * size;
      for (int64_t x = 0; x < size; ++x) row[x] += across[x] * c - across[size + x] * s;
    }
  }
}

}  // namespace

std::vector<PlaneWave> texture_waves(int64_t id, uint64_t seed) {
  RandomSequence random({seed, 0, site_of("shapes.texture")});
  std::vector<PlaneWave> waves = choose_waves(id, random);
  for (PlaneWave& wave : waves) {
    wave.phase = random.uniform(0, 2 * kPi);
    wave.amplitude = std::sqrt(2.0f / static_cast<float>(waves.size()));
  }
  return waves;
}

std::vector<float> render_texture(const std::vector<PlaneWave>& waves, int64_t size) {
  std::vector<float> image(size * size);
  add_waves(waves, size, image.data());
  return image;
}

namespace {

// Everything random about one picture except its pixel noise.
struct Scene {
  int64_t shape = 0, texture = 0;
  float x = 0, y = 0, radius = 0, angle = 0;  // of the figure; pixels and radians
  float ground[3] = {}, figure[3] = {};       // colours, 0 to 1
  float contrast = 0;                         // RMS of the texture
  uint64_t texture_seed = 0;
  std::vector<PlaneWave> shading;
};

Scene draw_scene(int64_t shape, int64_t texture, int64_t size, RandomSequence& random) {
  Scene scene{.shape = shape, .texture = texture};
  const auto pixels = static_cast<float>(size);
  scene.radius = pixels * random.uniform(0.27f, 0.38f);
  scene.x = pixels * random.uniform(0.4f, 0.6f);
  scene.y = pixels * random.uniform(0.4f, 0.6f);
  scene.angle = random.uniform(-1, 1) * kPi / 9;
  for (float& channel : scene.ground) channel = random.uniform(0.2f, 0.8f);
  float distance = 0;
  while (distance < 0.6f) {  // an invisible figure would teach nothing
    distance = 0;
    for (int c = 0; c < 3; ++c) {
      scene.figure[c] = random.uniform(0.2f, 0.8f);
      distance += std::abs(scene.figure[c] - scene.ground[c]);
    }
  }
  scene.contrast = random.uniform(0.10f, 0.20f);
  scene.texture_seed = uint64_t{random.next()} << 32 | random.next();
  for (int k = 0; k < 2; ++k) {
    const int fx = static_cast<int>(random.below(3)) - 1;
    const int fy = 1 - std::abs(fx) + static_cast<int>(random.below(2));
    scene.shading.push_back({fx, fy, random.uniform(0, 2 * kPi), 0.05f});
  }
  return scene;
}

// Share of the pixel at (x, y) that the figure covers, from the distance to its outline.
float coverage(const Scene& scene, float cosine, float sine, int64_t x, int64_t y) {
  const float dx = (static_cast<float>(x) + 0.5f - scene.x) / scene.radius;
  const float dy = (static_cast<float>(y) + 0.5f - scene.y) / scene.radius;
  const float reach = 1.1f + 1 / scene.radius;
  if (dx * dx + dy * dy > reach * reach) return 0;
  const float distance =
      shape_distance(scene.shape, dx * cosine + dy * sine, dy * cosine - dx * sine);
  return std::clamp(0.5f - distance * scene.radius, 0.0f, 1.0f);
}

// Noise of one channel value: two random bytes make a triangular density with standard deviation
// 0.03.
float pixel_noise(uint32_t bytes) {
  constexpr float scale = 0.03f * 2.449f / 256;
  return scale * static_cast<float>(static_cast<int>(bytes & 0xFF) +
                                    static_cast<int>(bytes >> 8 & 0xFF) - 255);
}

void render(const Scene& scene, int64_t size, RandomKey noise_key, uint8_t* out) {
  const std::vector<float> texture =
      render_texture(texture_waves(scene.texture, scene.texture_seed), size);
  const std::vector<float> shading = render_texture(scene.shading, size);
  const float cosine = std::cos(scene.angle), sine = std::sin(scene.angle);
  for (int64_t i = 0; i < size * size; ++i) {
    const float cover = coverage(scene, cosine, sine, i % size, i / size);
    const Philox4 words = random_words(noise_key, static_cast<uint64_t>(i));
    for (int c = 0; c < 3; ++c) {
      const float figure = scene.figure[c] + scene.contrast * texture[i];
      const float value = scene.ground[c] + cover * (figure - scene.ground[c]) + shading[i] +
                          pixel_noise(words.v[c]);
      out[i * 3 + c] = static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * 255 + 0.5f);
    }
  }
}

// The class of the cue that does not define the label.
int64_t other_cue(int64_t label, int64_t classes, const std::optional<double>& conflict,
                  RandomSequence& random) {
  if (!conflict) return random.below(classes);
  const bool differs = random.uniform() < static_cast<float>(*conflict);
  const int64_t shift = 1 + random.below(classes - 1);
  return differs ? (label + shift) % classes : label;
}

Dataset make_split(const ShapesOptions& options, const std::string& split, int64_t count,
                   const std::optional<double>& conflict) {
  const DatasetInfo info = dataset_info("shapes");
  Dataset data{.name = "shapes",
               .split = split,
               .count = count,
               .height = options.size,
               .width = options.size};
  data.mean = info.mean;
  data.std = info.std;
  for (int64_t k = 0; k < options.classes; ++k)
    data.classes.emplace_back(options.label == Cue::shape ? kShapeNames[k] : kTextureNames[k]);
  data.images.resize(count * data.image_bytes());
  data.labels.resize(count);
  data.shape_ids.resize(count);
  data.texture_ids.resize(count);
  const uint64_t scene_site = site_of("shapes.scene." + split);
  const uint64_t noise_site = site_of("shapes.noise." + split);
  for_each_index(count, [&](int64_t i) {
    const auto step = static_cast<uint64_t>(i);
    RandomSequence random({options.seed, step, scene_site});
    const int64_t label = i % options.classes;
    const int64_t other = other_cue(label, options.classes, conflict, random);
    const int64_t shape = options.label == Cue::shape ? label : other;
    const int64_t texture = options.label == Cue::shape ? other : label;
    data.labels[i] = static_cast<int32_t>(label);
    data.shape_ids[i] = static_cast<int32_t>(shape);
    data.texture_ids[i] = static_cast<int32_t>(texture);
    render(draw_scene(shape, texture, options.size, random), options.size,
           {options.seed, step, noise_site}, data.images.data() + i * data.image_bytes());
  });
  return data;
}

void require(bool condition, std::string_view what, auto value, std::string_view rule) {
  if (!condition)
    throw UsageError(concat_text("shapes: ", what, " is ", value, "; it must be ", rule));
}

}  // namespace

DataSplits make_shapes(const ShapesOptions& options) {
  require(options.size >= 28 && options.size <= 512, "size", options.size, "28 to 512 pixels");
  require(options.classes >= 2 && options.classes <= kShapeCues, "classes", options.classes,
          "2 to 10");
  require(options.train_count >= 1 && options.train_count <= 10'000'000, "train_count",
          options.train_count, "1 to 10 million");
  require(options.test_count >= 1 && options.test_count <= 10'000'000, "test_count",
          options.test_count, "1 to 10 million");
  for (const std::optional<double>& conflict : {options.conflict, options.test_conflict})
    require(!conflict || (*conflict >= 0 && *conflict <= 1), "conflict", conflict.value_or(0),
            "a probability, 0 to 1");
  check_memory("shapes", options.train_count + options.test_count, options.size);
  return {make_split(options, "train", options.train_count, options.conflict),
          make_split(options, "test", options.test_count,
                     options.test_conflict ? options.test_conflict : options.conflict)};
}

namespace {

// Independent cues differ by chance: that probability, drawn as a conflict, is the same
// distribution.
std::optional<double> conflict_of(const std::string& word, int64_t classes) {
  if (word == "independent") return static_cast<double>(classes - 1) / static_cast<double>(classes);
  double share = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), share);
  if (error != std::errc{} || end != word.data() + word.size() || !(share >= 0 && share <= 1))
    throw UsageError("shapes: the conflict is a number from 0 to 1 or independent, not '" + word +
                     "'");
  return share;
}

}  // namespace

ShapesOptions shapes_options(const ShapesWords& words) {
  if (words.label != "shape" && words.label != "texture")
    throw UsageError("shapes: the label is shape or texture, not '" + words.label + "'");
  ShapesOptions options{
      .classes = words.classes, .train_count = words.train_count, .test_count = words.test_count};
  options.label = words.label == "texture" ? Cue::texture : Cue::shape;
  options.seed = words.seed;
  if (words.conflict != "independent")
    options.conflict = conflict_of(words.conflict, words.classes);
  if (words.test_conflict != "same")
    options.test_conflict = conflict_of(words.test_conflict, words.classes);
  return options;
}

}  // namespace passband
