// Networks of the CIFAR-10 speed records: a stem made to be whitened, groups of convolutions.
#include "models/airbench.h"

#include <array>

#include "models/name_reader.h"
#include "models/named_spec.h"
#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "tensor/core/text.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

struct AirbenchSpec {
  std::array<int64_t, 3> widths = {64, 256, 256};  // of the groups
  bool residual = false;  // three convolutions a group, the last two a residual branch
};

constexpr int64_t kWhitenKernel = 2;
// a filter and its negative for each direction of a patch of three channels
constexpr int64_t kWhitenWidth = 2 * 3 * kWhitenKernel * kWhitenKernel;
constexpr double kLogitScale = 1.0 / 9;
// of the record's batch norms; PyTorch's momentum is the share of the new batch
constexpr double kBatchNormEps = 1e-12, kBatchNormMomentum = 0.4;
constexpr int64_t kLeastSide = 9;  // three halvings of what the stem leaves

struct GroupPlan {
  int64_t in, out;
  Grid grid;
  double patch;
  bool residual;
  double drop_path;
};

// gelu(norm1(pool(conv1(x)))) = y, then gelu(norm2(conv2(y))) = z; of a residual group
// gelu(y + norm3(conv3(z))).
class ConvGroup {
 public:
  ConvGroup(const Scope& scope, const GroupPlan& plan)
      : conv1_(scope / "conv1", plan.in, plan.out, plan.grid),
        norm1_(scope / "norm1", plan.out),
        conv2_(scope / "conv2", plan.out, plan.out, plan.grid.strided(2, 2, 0)),
        norm2_(scope / "norm2", plan.out),
        name_(scope.path()),
        drop_path_{plan.drop_path} {
    const Grid grid = conv2_.out_grid;
    if (plan.residual) {
      conv3_.emplace(scope / "conv3", plan.out, plan.out, grid);
      norm3_.emplace(scope / "norm3", plan.out);
    }
    site_ = {.kind = BlockKind::conv, .height = grid.height, .width = grid.width};
    site_.patch = plan.patch * static_cast<double>(plan.grid.height) / grid.height;
    site_.subsamples = true;
  }

  Tensor operator()(const Tensor& x) const {
    ScopeGuard guard(name_);
    const Tensor y = gelu(norm1_(max_pool2d(conv1_(x))));
    const Tensor z = gelu(norm2_(conv2_(y)));
    return tap("out", conv3_ ? add_branch((*norm3_)((*conv3_)(z)), y) : z, site_);
  }

  const TapSite& site() const { return site_; }

 private:
  Tensor add_branch(const Tensor& branch, const Tensor& skip) const {
    const Tensor shown = drop_path_(tap("branch", branch, site_));
    return gelu(tap("skip", skip, site_) + shown);
  }

  Conv2d conv1_;
  BatchNorm norm1_;
  Conv2d conv2_;
  BatchNorm norm2_;
  std::optional<Conv2d> conv3_;
  std::optional<BatchNorm> norm3_;
  std::string name_;
  DropPath drop_path_;
  TapSite site_;
};

class Airbench final : public Model {
 public:
  Airbench(const std::string& name, const AirbenchSpec& spec, const ModelOptions& options) {
    name_ = name;
    family_ = "airbench";
    options_ = options;
    set_batch_norms(spec);
    const Scope root(store_);
    const int64_t side = options.image_size;
    whiten_.emplace(root / "whiten", 3, kWhitenWidth, Grid{side, side},
                    Conv2dOptions{.kernel = kWhitenKernel, .padding = 0, .bias = true});
    whiten_->bias->init = Init::constant(0);
    stem_ = {.kind = BlockKind::stem,
             .height = whiten_->out_grid.height,
             .width = whiten_->out_grid.width};
    stem_.patch = static_cast<double>(side) / static_cast<double>(stem_.height);
    add_groups(root / "layers", spec);
    head_.emplace(root / "head", spec.widths.back(), options.classes, LinearOptions{.bias = false});
    store_.fix_batch_norm_scales();
    least_side_ = kLeastSide;
    macs_ = store_.macs();
  }

 private:
  void set_batch_norms(const AirbenchSpec& spec) {
    BatchNormSettings& settings = store_.batch_norms();
    settings.eps = kBatchNormEps;
    if (!spec.residual) settings.momentum = kBatchNormMomentum;
  }

  void add_groups(const Scope& layers, const AirbenchSpec& spec) {
    TapSite before = stem_;
    int64_t channels = kWhitenWidth;
    for (size_t i = 0; i < spec.widths.size(); ++i) {
      groups_.emplace_back(
          layers / std::to_string(i + 1),
          GroupPlan{.in = channels,
                    .out = spec.widths[i],
                    .grid = {before.height, before.width},
                    .patch = before.patch,
                    .residual = spec.residual,
                    .drop_path = drop_path_at(options_.drop_path, static_cast<int64_t>(i),
                                              std::ssize(spec.widths))});
      if (spec.residual) branches_.push_back(BlockKind::conv);
      before = groups_.back().site();
      channels = spec.widths[i];
    }
  }

  Tensor forward(const Tensor& images) const override {
    Tensor x = stem(images);  // (N, H, W, 24)
    for (const ConvGroup& group : groups_) x = group(x);
    ScopeGuard guard("head");
    // the whole map: the record's 3x3 at 32 pixels
    const PerAxis whole{x.size(1), x.size(2)};
    const Tensor pooled = max_pool2d(x, {.kernel = whole, .stride = whole});
    const Tensor features = tap("features", reshape(pooled, {x.size(0), x.size(3)}),
                                {.kind = BlockKind::head});  // (N, C)
    return mul((*head_)(Dropout{options_.dropout}(features)), kLogitScale);
  }

  Tensor stem(const Tensor& images) const {
    ScopeGuard guard("stem");
    return tap("out", gelu((*whiten_)(images)), stem_);
  }

  std::optional<Conv2d> whiten_;
  TapSite stem_;
  std::vector<ConvGroup> groups_;
  std::optional<Linear> head_;
};

const std::vector<NamedSpec<AirbenchSpec>>& airbench_table() {
  static const std::vector<NamedSpec<AirbenchSpec>> rows = {
      {"airbench93", {{64, 128, 128}}},
      {"airbench94", {{64, 256, 256}}},
      {"airbench95", {{128, 384, 384}}},
      {"airbench96", {{128, 384, 512}, /*residual=*/true}},
      {"airbench_small", {{32, 64, 64}}}};
  return rows;
}

// "airbench_32_64_64", "airbench_16_32_32_residual": widths of one's own.
std::optional<AirbenchSpec> airbench_of_widths(std::string_view rest) {
  AirbenchSpec spec;
  if (!take_prefix(rest, "airbench")) return {};
  for (int64_t& width : spec.widths)
    if (!take_prefix(rest, "_") || !take_number(rest, width) || width > 65536) return {};
  spec.residual = take_prefix(rest, "_residual");
  return rest.empty() ? std::optional(spec) : std::nullopt;
}

std::string airbench_refusal(const AirbenchSpec&, int64_t side) {
  if (side >= kLeastSide) return "";
  return concat_text("it halves its map three times, which ", side,
                     " pixels do not allow; it takes ", kLeastSide, " or more");
}

std::optional<Architecture> find_airbench(const std::string& name) {
  const auto known = find_spec(airbench_table(), name);
  return architecture<Airbench>("airbench", known ? known : airbench_of_widths(name),
                                airbench_refusal);
}

std::vector<std::string> airbench_names() { return names_of(airbench_table()); }

}  // namespace

ModelFamily airbench_family() { return {find_airbench, airbench_names}; }

}  // namespace passband
