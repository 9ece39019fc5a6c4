#include "models/initial_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "models/attention_values.h"
#include "tensor/core/error.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

// A parameter's values in f64, which go back into it.
class EditedValues {
 public:
  explicit EditedValues(const Parameter& parameter)
      : target_(parameter.value.detach()), values_(target_.values()) {}
  ~EditedValues() { target_.copy_from(Tensor::from(values_, target_.shape(), target_.dtype())); }
  EditedValues(const EditedValues&) = delete;
  EditedValues& operator=(const EditedValues&) = delete;

  std::span<double> all() { return values_; }
  // Of a matrix: its rows from `row` on become those of `rows`, as far as these have columns.
  void put_rows(int64_t row, const Tensor& rows) {
    const int64_t columns = target_.size(1), count = rows.size(0);
    for (int64_t i = 0; i < count; ++i)
      std::copy_n(rows.data<double>() + i * rows.size(1), std::min(columns, rows.size(1)),
                  values_.data() + (row + i) * columns);
  }
  void clear_rows(int64_t row, int64_t count) {
    const int64_t columns = target_.size(1);
    std::fill_n(values_.data() + row * columns, count * columns, 0.0);
  }
  // Its columns become the rows of `columns`, and 0 beyond these.
  void put_columns(const Tensor& columns) {
    const int64_t count = target_.size(1);
    for (int64_t r = 0; r < target_.size(0); ++r)
      for (int64_t c = 0; c < count; ++c)
        values_[static_cast<size_t>(r * count + c)] =
            c < columns.size(0) ? columns.data<double>()[c * columns.size(1) + r] : 0;
  }

 private:
  Tensor target_;
  std::vector<double> values_;
};

// Shape (out, k, k, in / groups).
void make_dirac(const Parameter& filters) {
  const Shape& shape = filters.shape;
  const int64_t in = shape[3], of_group = shape[0] / filters.groups;
  const int64_t centre = (shape[1] / 2) * shape[2] + shape[2] / 2, size = shape[1] * shape[2] * in;
  EditedValues edited(filters);
  for (int64_t o = 0; o < shape[0]; ++o) {
    if (o % of_group >= in) continue;
    const std::span<double> filter = edited.all().subspan(o * size, size);
    std::ranges::fill(filter, 0.0);
    filter[centre * in + o % of_group] = 1;
  }
}

int64_t make_all_dirac(const ParameterStore& store) {
  int64_t seen = 0;
  for (const ParameterRef& p : store.parameters())
    if (p->layout == Layout::conv && p->name.ends_with("weight") && seen++ > 0) make_dirac(*p);
  return std::max<int64_t>(seen - 1, 0);
}

// The table of absolute positions, (1, tokens, width) or (1, H, W, width); null without one.
ParameterRef table_of(const ParameterStore& store) {
  for (const ParameterRef& p : store.parameters())
    if ((p->name == "pos_embed" || p->name.ends_with(".positional_emb")) && p->shape.rank() >= 3)
      return p;
  return {};
}

// Its rows that are places of the grid, (H W, width), the last ones: tokens that stand on no place
// come before, and are fewer than a row of the grid.
struct Places {
  Grid grid;
  int64_t width;

  explicit Places(const Parameter& table) : width(table.shape[table.shape.rank() - 1]) {
    const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(table.shape[1])));
    grid = table.shape.rank() == 4 ? Grid{table.shape[1], table.shape[2]} : Grid{side, side};
  }
  std::span<double> in(std::span<double> all) const { return all.last(grid.pixels() * width); }
};

void make_sincos(const Parameter& table) {
  const Places places(table);
  if (places.width % 4 != 0 || places.width < 8)
    throw UsageError(
        fmt::format("positions: sincos takes a width of 8, 12, 16, ..., not {}", places.width));
  EditedValues edited(table);
  std::ranges::fill(edited.all(), 0.0);
  std::ranges::copy(sincos_positions(places.grid, places.width).values(),
                    places.in(edited.all()).begin());
}

// The rows of the packed projection (3 heads d, in) that are a head's queries or keys.
struct PackedHeads {
  int64_t in, inner, depth;

  explicit PackedHeads(const Parameter& qkv)
      : in(qkv.shape[1]), inner(qkv.shape[0] / 3), depth(inner / qkv.heads) {}
  int64_t queries(int64_t head) const { return head * depth; }
  int64_t keys(int64_t head) const { return inner + head * depth; }
};

RandomKey key_of(uint64_t seed, const Parameter& qkv, const char* what, int64_t head = 0) {
  return {seed, static_cast<uint64_t>(head), site_of(qkv.name + what)};
}

// Values and projection: their product near the negative identity, where that is square.
void make_values(const Parameter& qkv, const Parameter* proj, EditedValues& edited, uint64_t seed) {
  const PackedHeads heads(qkv);
  if (!proj || proj->shape[0] != heads.in) return;
  const Factors f = near_identity(heads.in, heads.inner, 0.4, -0.4, key_of(seed, qkv, ".values"));
  edited.put_rows(2 * heads.inner, f.left);
  EditedValues(*proj).put_columns(f.right);
}

// Looks at neighbours by these positions, or near the identity without them.
struct AttentionValues {
  uint64_t seed;
  std::optional<Places> places;
  Tensor positions;  // (tokens, width)

  bool fits(const Parameter& qkv) const { return !places || qkv.shape[1] == places->width; }

  void operator()(const Parameter& qkv, const Parameter* proj) const {
    const PackedHeads heads(qkv);
    EditedValues edited(qkv);
    const Tensor inverse = places ? inverse_of_normalised(positions, heads.depth) : Tensor{};
    for (int64_t h = 0; h < qkv.heads; ++h) {
      const RandomKey key = key_of(seed, qkv, ".heads", h);
      const Factors f = places ? looks_at(h, places->grid, inverse, heads.depth, key)
                               : near_identity(heads.in, heads.depth, 0.7, 0.7, key);
      // Beyond the rank there are no queries, which leaves the product and lets them learn.
      edited.clear_rows(heads.queries(h), heads.depth);
      edited.put_rows(heads.queries(h), f.left);
      edited.put_rows(heads.keys(h), f.right);
    }
    make_values(qkv, proj, edited, seed);
  }
};

AttentionValues attention_values(const Model& model, const InitialValues& values, uint64_t seed) {
  AttentionValues result{.seed = seed};
  if (!values.structured) return result;
  const ParameterRef table = table_of(model.store());
  if (!table)
    throw UsageError(
        fmt::format("init: {} has no table of positions, by which structured attention would find "
                    "its neighbours; mimetic goes without",
                    model.name()));
  result.places.emplace(*table);
  EditedValues edited(*table);
  if (!values.sincos)
    for (double& x : edited.all()) x *= kStructuredPositions;
  const std::span<double> rows = result.places->in(edited.all());
  result.positions = Tensor::from(std::span<const double>(rows),
                                  {result.places->grid.pixels(), result.places->width}, DType::f64);
  return result;
}

// Tables of relative positions, each by its number: heads that share one look at the neighbour of
// that number, so that layers differ.
void look_at_neighbours(const Parameter& table, int64_t number) {
  const int64_t heads = table.shape[1];
  const auto side = std::llround(std::sqrt(static_cast<double>(table.shape[0])));
  EditedValues edited(table);
  for (int64_t h = 0; h < heads; ++h) {
    std::vector<double> positions = looks_at(heads > 1 ? h : number, (side + 1) / 2);
    if (table.query_minus_key) std::ranges::reverse(positions);
    for (size_t i = 0; i < positions.size(); ++i)
      edited.all()[i * static_cast<size_t>(heads) + static_cast<size_t>(h)] = positions[i];
  }
}

// `name` of the layer that has this parameter, which is its qkv.weight, or null.
ParameterRef beside(const ParameterStore& store, const Parameter& qkv, const char* name) {
  const std::string path = qkv.name.substr(0, qkv.name.size() - std::size("qkv.weight") + 1) + name;
  const auto found =
      std::ranges::find(store.parameters(), path, [](const ParameterRef& p) { return p->name; });
  return found == store.parameters().end() ? nullptr : *found;
}

// Structured attention where places are told by relative positions: how many layers there are.
int64_t initialise_windows(const ParameterStore& store, uint64_t seed) {
  int64_t layers = 0;
  for (const ParameterRef& qkv : store.parameters()) {
    if (qkv->heads == 0) continue;
    const ParameterRef table = beside(store, *qkv, "relative_position_bias_table");
    if (!table) continue;
    look_at_neighbours(*table, layers++);
    EditedValues edited(*qkv);
    make_values(*qkv, beside(store, *qkv, "proj.weight").get(), edited, seed);
  }
  return layers;
}

int64_t initialise_attention(const Model& model, const InitialValues& values, uint64_t seed) {
  if (values.structured && !table_of(model.store()))
    if (const int64_t layers = initialise_windows(model.store(), seed)) return layers;
  const AttentionValues give = attention_values(model, values, seed);
  int64_t layers = 0;
  for (const ParameterRef& qkv : model.store().parameters()) {
    if (qkv->heads == 0 || !give.fits(*qkv)) continue;
    give(*qkv, beside(model.store(), *qkv, "proj.weight").get());
    ++layers;
  }
  if (layers == 0)
    throw UsageError(
        fmt::format("init: {} has no self-attention of queries and keys that could "
                    "begin so; dirac is for convolutions",
                    model.name()));
  return layers;
}

}  // namespace

InitialValues initial_values_from(const std::string& init, const std::string& positions) {
  InitialValues values{.sincos = positions == "sincos"};
  const std::vector<std::string> words = {"standard", "dirac", "mimetic", "structured"};
  for (const std::string& word : split_text(init, ',')) {
    if (std::ranges::find(words, word) == words.end())
      throw UsageError(
          fmt::format("init: '{}' is not one of {}, or some of them joined by commas{}", word,
                      join(words), did_you_mean(word, words)));
    values.dirac |= word == "dirac";
    values.mimetic |= word == "mimetic";
    values.structured |= word == "structured";
  }
  if (values.mimetic && values.structured)
    throw UsageError("init: mimetic and structured both say how attention begins; give one");
  return values;
}

std::vector<std::string> initialise(Model& model, const InitialValues& values, uint64_t seed) {
  std::vector<std::string> given;
  if (values.sincos) {
    const ParameterRef table = table_of(model.store());
    if (!table)
      throw UsageError(
          fmt::format("positions: {} has no table of absolute positions", model.name()));
    make_sincos(*table);
    given.emplace_back("positions as sines and cosines");
  }
  if (values.dirac) {
    const int64_t filters = make_all_dirac(model.store());
    if (filters == 0)
      throw UsageError(
          fmt::format("init: {} has no convolution after its first for dirac", model.name()));
    given.push_back(counted(filters, "convolution") + " as the identity");
  }
  if (values.mimetic || values.structured)
    given.push_back(
        fmt::format("{} {}", counted(initialise_attention(model, values, seed), "attention layer"),
                    values.mimetic ? "as trained ones look" : "as convolutions"));
  if (given.empty()) return {};
  model.store().touch();
  return {"begins with " + join(given)};
}

}  // namespace passband
