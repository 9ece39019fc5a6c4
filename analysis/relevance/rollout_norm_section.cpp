#include "analysis/relevance/rollout_norm_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/relevance/norm_rollout.h"
#include "analysis/relevance/rollout.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/kind_words.h"
#include "analysis/study/picture_maps.h"
#include "analysis/study/verdict.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

// Sums over pictures for one network.
struct NormStudy {
  DepthAxis axis;  // without the lowest layer
  std::vector<Movement> moved;
  RelevanceMaps free, for_class;
  std::vector<int64_t> classes;
};

void append(RelevanceMaps& maps, const std::vector<BlockTransport>& blocks,
            std::vector<double> start) {
  const TapSite& bottom = blocks.front().site;
  const std::vector<double> relevance = relevance_by_layer(blocks, std::move(start)).front();
  maps.height = bottom.height;
  maps.width = bottom.width;
  maps.values.insert(maps.values.end(), relevance.begin() + bottom.prefix, relevance.end());
  ++maps.count;
}

void add_movement(NormStudy& study, const std::vector<BlockTransport>& blocks, double weight) {
  for (size_t l = 1; l < blocks.size(); ++l) {
    const size_t i = study.axis.index_of(blocks[l].site);
    study.moved.resize(study.axis.size());
    const Movement m = movement(blocks[l], blocks[l - 1].site);
    study.moved[i].kept += weight * m.kept;
    study.moved[i].distance += weight * m.distance;
  }
}

NormStudy measure(const Subject& subject, const Dataset& data, const std::vector<int64_t>& indices,
                  const Progress& progress) {
  NormStudy study;
  const auto total = static_cast<int64_t>(indices.size());
  for (int64_t n = 0; n < total; ++n) {
    const Tensor image = network_images(*subject.model, data, {indices[static_cast<size_t>(n)]});
    study.classes.push_back(classes_read(*subject.model, image)[0]);
    const std::vector<BlockTransport> blocks = block_transports(*subject.model, image);
    const ReadOut read = read_out(*subject.model, image, {study.classes.back()});
    append(study.free, blocks, start_of(read, false));
    append(study.for_class, blocks, start_of(read, true));
    add_movement(study, blocks, 1.0 / static_cast<double>(total));
    progress(n + 1, total, "pictures");
  }
  return study;
}

// "MSA blocks fetch from 2.1 to 6.1 px away and keep 20 to 40 % in place (3)"
std::string movement_text(const NormStudy& study) {
  std::string text;
  for (const auto& [kind, name] : kKindWords) {
    if (kind == BlockKind::mlp) continue;  // which moves nothing
    std::vector<double> distances, kept;
    for (size_t i = 0; i < study.moved.size(); ++i) {
      if (study.axis[i].kind != kind) continue;
      distances.push_back(study.moved[i].distance);
      kept.push_back(100 * study.moved[i].kept);
    }
    if (kept.empty()) continue;
    text += fmt::format(
        "{}{} blocks fetch from {} away and keep {} in place ({})", text.empty() ? "" : "; ", name,
        together(distances, [](double px) { return fmt::format("{:.1f} px", px); }),
        together(kept, [](double share) { return fmt::format("{:.0f} %", share); }), kept.size());
  }
  return text + ".";
}

plot::Panel movement_panel(const NormStudy& study, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "block", .categories = study.axis.labels()},
                    .y = {.label = "mean distance moved", .unit = "px", .from_zero = true}};
  panel.spans = study.axis.spans();
  plot::Line line{.name = "distance", .x = study.axis.positions()};
  for (const Movement& m : study.moved) line.y.push_back(m.distance);
  panel.lines = {std::move(line)};
  return panel;
}

}  // namespace

Section rollout_norm_section(const AnalysisInput& input) {
  const int64_t images = input.pictures(8);
  Section section;
  plot::Figure depth{.name = "movement",
                     .title = "Distance over which blocks fetch what they write."};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    std::vector<int64_t> shown = spread_indices(input.data->count, images);
    const NormStudy study = measure(subject, *input.data, shown, input.part_of(s));
    section.values.push_back({.key = "concentration",
                              .label = "Rollout by norms in the brightest quarter",
                              .value = concentration(study.free),
                              .text = fmt::format("{:.0f} %", 100 * concentration(study.free)),
                              .subject = subject.label});
    section.finding += fmt::format("{}In {}, by the norms of what they move, {}", s > 0 ? " " : "",
                                   subject.label, movement_text(study));
    shown.resize(std::min<size_t>(shown.size(), 6));
    plot::Figure figure = picture_figure(
        *input.data, shown, subject.model->options().image_size, figure_name("rollout-norm", s),
        "Rollout by norms, " + subject.label + ".", "share, relative to the largest");
    std::vector<std::string> captions;
    for (const int64_t c : study.classes)
      captions.push_back("read as " + class_name(*input.data, c));
    add_map_row(figure, "all it reads", study.free.values, study.free.height, study.free.width,
                captions);
    add_map_row(figure, "for the class", study.for_class.values, study.free.height,
                study.free.width);
    mark_wrong(figure, *input.data, shown, study.classes);
    figure.alt = movement_text(study);
    section.figures.push_back(std::move(figure));
    depth.panels.push_back(movement_panel(study, subject.label));
  }
  section.reading =
      "Every block is, for the picture at hand, a linear map between places (weights, gates and "
      "statistics held). The "
      "share of a source is the length of the vector that it sends, shortcut included, so "
      "attention, convolution, "
      "pooling and lambda layers are measured alike and no fixed half is given to the shortcut "
      "(after Kobayashi et al., "
      "2020). The curve shows how far a block fetches; the maps multiply all blocks from the "
      "output down to the picture.";
  section.caveats = {
      fmt::format("{}. Lengths of vectors are shares of size, not of effect: vectors that "
                  "cancel still count.",
                  counted(images, "test picture")),
      "Biases and the mean that a norm subtracts count with the place that they act in."};
  depth.alt = section.finding;
  section.figures.push_back(std::move(depth));
  return section;
}

}  // namespace passband
