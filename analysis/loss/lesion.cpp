#include "analysis/loss/lesion.h"

#include <algorithm>
#include <cmath>

#include "analysis/study/finite.h"
#include "analysis/study/verdict.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {
namespace {

// "layer1.1.branch" -> "layer1.1"
std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('.')); }

Tensor replacement(const Tensor& branch, Removal removal) {
  if (removal == Removal::zero) return Tensor::zeros_like(branch);
  return expand(mean(branch, {0}, true), branch.shape());
}

std::vector<bool> right_answers(const Tensor& logits, const std::vector<int32_t>& labels) {
  const std::vector<int64_t> answers = classes_of(logits);
  std::vector<bool> right;
  for (size_t i = 0; i < labels.size(); ++i) right.push_back(answers[i] == labels[i]);
  return right;
}

void count(const std::vector<bool>& intact, const std::vector<bool>& lesioned,
           LesionResult& result) {
  for (size_t i = 0; i < intact.size(); ++i) {
    ++result.pictures;
    result.intact += intact[i];
    result.lesioned += lesioned[i];
    result.lost += intact[i] && !lesioned[i];
    result.gained += !intact[i] && lesioned[i];
  }
}

}  // namespace

DepthAxis branches_of(const Model& model) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = model.options().dtype});
  DepthAxis axis;
  const ProbeGuard probe({"branch"}, [&](const TapSite& site, const Tensor& buffer) {
    axis.index_of(site);
    return buffer;
  });
  const int64_t size = model.options().image_size;
  model(Tensor::zeros({1, size, size, 3}, DType::f32, model.device()));
  return axis;
}

std::vector<Lesion> branch_lesions(const DepthAxis& branches) {
  std::vector<Lesion> result;
  const std::vector<std::string> labels = branches.labels();
  for (size_t i = 0; i < branches.size(); ++i)
    result.push_back({labels[i], branches[i].kind, i, {branches[i].path}, nullptr});
  return result;
}

std::vector<Lesion> block_lesions(const DepthAxis& branches) {
  std::vector<Lesion> result;
  for (size_t i = 0; i < branches.size(); ++i) {
    if (branches[i].kind != BlockKind::mlp || i == 0) continue;
    const std::string block = parent_of(parent_of(branches[i].path));
    if (block == parent_of(parent_of(branches[i - 1].path)))
      result.push_back(
          {block, BlockKind::msa, i - 1, {branches[i - 1].path, branches[i].path}, nullptr});
  }
  return result;
}

std::vector<Lesion> convolution_lesions(const Model& model, const DepthAxis& branches) {
  std::vector<Lesion> result;
  std::vector<std::string> blocks;  // beginnings of parameter names, in forward order
  for (const ParameterRef& p : model.store().parameters()) {
    const size_t at = p->name.find(".conv1.");
    if (at != std::string::npos) blocks.push_back(p->name.substr(0, at + 1));
  }
  if (blocks.size() != branches.size()) return result;
  for (const ParameterRef& p : model.store().parameters()) {
    if (p->layout != Layout::conv || p->shape[1] == 1 ||
        p->name.find(".downsample.") != std::string::npos)
      continue;
    const auto block =
        std::ranges::find_if(blocks, [&](const std::string& b) { return p->name.starts_with(b); });
    if (block == blocks.end()) continue;
    const std::string label = p->name.substr(0, p->name.size() - std::string(".weight").size());
    result.push_back({label, BlockKind::conv, static_cast<size_t>(block - blocks.begin()), {}, p});
  }
  return result;
}

LesionGuard::LesionGuard(Model& model, const Lesion& lesion, Removal removal)
    : model_(model), weight_(lesion.weight) {
  if (weight_) {
    NoGrad no_grad;
    kept_ = weight_->value.detach() * 1.0;
    fill_(weight_->value.detach(), 0);
    model_.store().touch();
  }
  if (lesion.branches.empty()) return;
  probe_.emplace(std::vector<std::string>{"branch"},
                 [paths = lesion.branches, removal](const TapSite& site, const Tensor& branch) {
                   return std::ranges::find(paths, site.path) == paths.end()
                              ? branch
                              : replacement(branch, removal);
                 });
}

LesionGuard::~LesionGuard() {
  if (!weight_) return;
  copy_(weight_->value.detach(), kept_);
  model_.store().touch();
}

double LesionResult::change() const {
  return pictures > 0 ? static_cast<double>(lesioned - intact) / static_cast<double>(pictures) : 0;
}

double LesionResult::interval() const {
  if (pictures == 0) return 0;
  const Estimate estimate = paired_change(static_cast<double>(lost), static_cast<double>(gained),
                                          static_cast<double>(pictures));
  return estimate.high - estimate.value;
}

std::vector<LesionResult> run_lesions(Model& model, const Dataset& data,
                                      const std::vector<Lesion>& lesions, Removal removal,
                                      const PassOptions& options) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = model.options().dtype});
  std::vector<LesionResult> results(lesions.size());
  const std::vector<int64_t> indices = spread_indices(data.count, options.images);
  const OwnPart part(std::ssize(indices));
  part.run_batches({&model}, options.batch_size, [&](int64_t first, int64_t n) {
    const std::vector<int64_t> chosen(indices.begin() + first, indices.begin() + first + n);
    const Tensor images = network_images(model, data, chosen);
    std::vector<int32_t> labels;
    for (const int64_t index : chosen) labels.push_back(data.labels[static_cast<size_t>(index)]);
    const std::vector<bool> intact = right_answers(finite_logits(model, images), labels);
    for (size_t i = 0; i < lesions.size(); ++i) {
      const LesionGuard guard(model, lesions[i], removal);
      count(intact, right_answers(model(images), labels), results[i]);
      const auto parts = static_cast<int64_t>(lesions.size());
      options.progress((first - part.begin) * parts + n * static_cast<int64_t>(i + 1),
                       (part.end - part.begin) * parts, "pictures");
    }
  });
  for (LesionResult& result : results) {
    for (int64_t* count :
         {&result.pictures, &result.intact, &result.lesioned, &result.lost, &result.gained})
      part.join(*count);
  }
  return results;
}

bool ends_stage(const DepthAxis& branches, size_t depth) {
  return depth + 1 == branches.size() || branches[depth + 1].height != branches[depth].height;
}

}  // namespace passband
