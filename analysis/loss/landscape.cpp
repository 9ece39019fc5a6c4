#include "analysis/loss/landscape.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "analysis/study/finite.h"
#include "analysis/study/subject.h"
#include "nn/context.h"
#include "tensor/core/collective.h"
#include "tensor/core/file.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/pointwise.h"

namespace passband {
namespace {

// Where the dimension of output filters lies in memory.
int filter_dimension(const Parameter& p) {
  const bool lambda = p.layout == Layout::lambda_local || p.layout == Layout::lambda_local_timm;
  return lambda ? 2 : 0;
}

bool is_position_table(const Parameter& p) {
  return p.name.find("pos_embed") != std::string::npos ||
         p.name.find("relative_position") != std::string::npos;
}

// Scales groups of `d` to the length of the same groups of `w`. The tensor is (outer, filters,
// inner); a group is a filter, or a place within the filters.
void scale_groups(const Shape& shape, int dimension, FilterNorm rule, const std::vector<double>& w,
                  std::vector<double>& d) {
  const auto outer = static_cast<size_t>(shape.outer(dimension)),
             filters = static_cast<size_t>(shape[dimension]),
             inner = static_cast<size_t>(shape.inner(dimension));
  const bool by_filter = rule == FilterNorm::filter;
  const size_t groups = by_filter ? filters : outer * inner;
  std::vector<double> of_w(groups), of_d(groups);
  const auto each = [&](auto&& body) {
    for (size_t o = 0; o < outer; ++o)
      for (size_t f = 0; f < filters; ++f)
        for (size_t i = 0; i < inner; ++i)
          body((o * filters + f) * inner + i, by_filter ? f : o * inner + i);
  };
  each([&](size_t at, size_t group) {
    of_w[group] += w[at] * w[at];
    of_d[group] += d[at] * d[at];
  });
  const double guard = by_filter ? 1e-10 : 1e-7;
  each([&](size_t at, size_t group) {
    d[at] *= std::sqrt(of_w[group]) / (std::sqrt(of_d[group]) + guard);
  });
}

// The parameters moved to a place; back again at the end.
class Displacement {
 public:
  explicit Displacement(ParameterStore& store) : store_(store), origin_(store.values() * 1.0) {}
  ~Displacement() {
    copy_(store_.values(), origin_);
    store_.touch();
  }
  Displacement(const Displacement&) = delete;
  Displacement& operator=(const Displacement&) = delete;

  void move(const LandscapePoint& point, const LandscapeTask& options) {
    copy_(store_.values(), origin_);
    if (point.a != 0) add_scaled_(store_.values(), options.first, point.a);
    if (point.b != 0) add_scaled_(store_.values(), options.second, point.b);
    store_.touch();
  }

 private:
  ParameterStore& store_;
  Tensor origin_;
};

// Batches are kept when they fit, because every point shows the same pictures.
constexpr int64_t kMostPicturesKept = 4096;

void measure(const Model& model, const LossBatches& batches, std::vector<LossBatch>& kept,
             const LossTerms& terms, LandscapePoint& point) {
  double nll = 0, right = 0;
  const auto n = static_cast<double>(batches.indices.size());
  const bool keeps = std::ssize(batches.indices) <= kMostPicturesKept;
  const OwnPart part(batches.count());
  const auto add_batch = [&](int64_t i) {
    const int64_t own = i - part.begin;
    if (keeps && std::ssize(kept) == own) kept.push_back(batches.batch(i));
    const LossBatch batch = keeps ? kept[static_cast<size_t>(own)] : batches.batch(i);
    const Tensor logits = model(batch.images);
    nll += batch.cross_entropy_of(logits, terms.smoothing).item() *
           static_cast<double>(batch.labels.numel());
    const std::vector<int64_t> answers = classes_of(logits);
    const std::vector<double> labels = batch.labels.values();
    for (size_t k = 0; k < labels.size(); ++k)
      right += answers[k] == static_cast<int64_t>(labels[k]);
  };
  part.run({&model}, [&] {
    for (int64_t i = part.begin; i < part.end; ++i) add_batch(i);
  });
  part.join(nll);
  part.join(right);
  point.nll = nll / n;
  point.accuracy = right / n;
  point.decay = decay_loss(model.store(), terms);
  point.done = true;
}

// Writes finished points now and then, and when it goes.
class Keeper {
 public:
  Keeper(const std::filesystem::path& path, const std::vector<LandscapePoint>& points)
      : path_(path), points_(points) {}
  void point_done() {
    unsaved_ = true;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ > std::chrono::seconds(2)) save();
  }
  void save() {
    if (!path_.empty() && unsaved_)
      write_file_atomically(path_.string(), landscape_to_text(points_));
    unsaved_ = false;
    last_ = std::chrono::steady_clock::now();
  }

 private:
  const std::filesystem::path& path_;
  const std::vector<LandscapePoint>& points_;
  bool unsaved_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

Tensor landscape_direction(const ParameterStore& store, uint64_t seed, FilterNorm rule) {
  NoGrad no_grad;
  const Tensor values = store.values();
  Tensor direction = Tensor::zeros_like(values);
  for (const ParameterRef& p : store.parameters()) {
    if (p->shape.rank() < 2 || (rule == FilterNorm::position && is_position_table(*p))) continue;
    std::vector<double> d(static_cast<size_t>(p->shape.numel()));
    const RandomKey key{seed, 0, site_of("landscape." + p->name)};
    for (size_t i = 0; i < d.size(); ++i) d[i] = random_normal(key, i);
    scale_groups(p->shape, filter_dimension(*p), rule, p->value.values(), d);
    copy_(direction.view(p->offset, p->shape), Tensor::from(d, p->shape, values.dtype()));
  }
  return direction;
}

std::vector<LandscapePoint> landscape_grid(const std::vector<double>& sides_a,
                                           const std::vector<double>& sides_b) {
  std::vector<LandscapePoint> points;
  for (const double b : sides_b.empty() ? std::vector<double>{0.0} : sides_b)
    for (const double a : sides_a) points.push_back({.a = a, .b = b});
  return points;
}

void measure_landscape(Model& model, const LossBatches& batches, const LandscapeTask& options,
                       std::vector<LandscapePoint>& points) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = model.options().dtype});
  std::error_code missing;
  std::string before;  // of the process that keeps it, for all
  if (!options.partial.empty() && std::filesystem::exists(options.partial, missing))
    before = read_file(options.partial.string());
  if (pictures_are_split()) broadcast(before);
  if (!before.empty()) landscape_from_text(before, options.partial.string(), points);
  Keeper keeper(options.partial, points);
  Displacement place(model.store());
  std::vector<LossBatch> kept;
  const auto total = std::ssize(points);
  auto done = std::ranges::count(points, true, &LandscapePoint::done);
  if (done > 0) options.progress.kept(done, total, "points");
  try {
    for (LandscapePoint& point : points) {
      if (point.done) continue;
      place.move(point, options);
      measure(model, batches, kept, options.terms, point);
      keeper.point_done();
      options.progress(++done, total, "points");
    }
  } catch (...) {
    keeper.save();
    throw;
  }
  keeper.save();
}

std::string landscape_to_text(const std::vector<LandscapePoint>& points) {
  std::string text = fmt::format("landscape {}\n", points.size());
  for (size_t i = 0; i < points.size(); ++i)
    if (points[i].done)
      text += fmt::format("{} {:.17g} {:.17g} {:.17g}\n", i, points[i].nll, points[i].decay,
                          points[i].accuracy);
  return text;
}

void landscape_from_text(const std::string& text, const std::string& path,
                         std::vector<LandscapePoint>& points) {
  std::istringstream in(text);
  in.exceptions(std::ios::badbit);  // memory that runs out is no end of the text
  std::string word, nll, decay, accuracy;
  size_t size = 0, index = 0;
  if (!(in >> word >> size) || word != "landscape" || size != points.size())
    throw DataError(
        concat_text(path, ": does not hold a landscape of ", points.size(), " points; remove it"));
  while (in >> index >> nll >> decay >> accuracy) {
    if (index >= points.size())
      throw DataError(
          concat_text(path, ": point ", index, " of ", size, " does not exist; remove the file"));
    // strtod, because streams do not read the "nan" and "inf" of exploded losses.
    points[index].nll = std::strtod(nll.c_str(), nullptr);
    points[index].decay = std::strtod(decay.c_str(), nullptr);
    points[index].accuracy = std::strtod(accuracy.c_str(), nullptr);
    points[index].done = true;
  }
}

double distance_of_rise(const std::vector<double>& places, const std::vector<double>& loss,
                        double rise) {
  const size_t n = places.size(), centre = n / 2;
  CHECK(n == loss.size() && n % 2 == 1,
        "distance of rise: needs an odd number of places with a loss each, got ", n, " and ",
        loss.size());
  double before = 0, at = 0;
  for (size_t k = 1; k <= centre; ++k) {
    const double mean = (loss[centre - k] + loss[centre + k]) / 2 - loss[centre];
    const double place = (places[centre + k] - places[centre - k]) / 2;
    if (!std::isfinite(mean)) return place;
    if (mean >= rise) return at + (place - at) * (rise - before) / (mean - before);
    before = mean;
    at = place;
  }
  return INFINITY;
}

}  // namespace passband
