// A report with every kind of figure: published numbers (Park & Kim, ICLR 2022, read from the
// authors' poster) where there are some, closed-form stand-ins elsewhere. The tests write it and a
// reader can open it.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "analysis/report/report.h"
#include "tensor/core/random.h"

namespace passband::demo {

inline std::vector<double> evenly(size_t n, double low = 0, double high = 1) {
  std::vector<double> x(n);
  for (size_t i = 0; i < n; ++i)
    x[i] = low + (high - low) * static_cast<double>(i) / static_cast<double>(n - 1);
  return x;
}

inline const std::vector<double> kVarianceResNet = {.092, .201, .347, .455, .359, .484,
                                                    .646, .765, .371, .455, .575, .686,
                                                    .762, .836, .170, .168, .209};
inline const std::vector<double> kVarianceViT = {
    .0173, .0153, .0492, .0404, .0598, .0529, .0674, .0576, .0737, .0732, .0849, .0828, .0868,
    .0849, .0875, .0868, .0867, .0861, .0838, .0832, .0779, .0776, .0749, .0744, .0927};
inline const std::vector<double> kFourierViT = {
    -1.777, -1.887, -2.648, -2.170, -2.535, -2.167, -2.366, -2.503, -2.489,
    -2.667, -2.453, -2.663, -2.529, -2.644, -2.464, -2.599, -2.467, -2.498,
    -2.420, -2.408, -2.359, -2.457, -2.549, -2.568, -2.272};
inline const std::vector<double> kNoiseResNet = {-5.01,  -8.84, -12.72, -10.74, -10.29,
                                                 -10.10, -9.67, -13.59, -15.38};
inline const std::vector<double> kNoiseViT = {-5.50, -12.07, -14.93, -13.43, -11.56,
                                              -9.77, -6.29,  -4.32,  -4.84};

inline std::vector<plot::Span> alternating_spans(size_t latents) {
  std::vector<plot::Span> spans;
  const double step = 1.0 / static_cast<double>(latents - 1);
  for (size_t i = 1; i < latents; ++i)
    spans.push_back({step * static_cast<double>(i - 1), step * static_cast<double>(i),
                     i % 2 ? plot::Kind::attention : plot::Kind::mlp});
  return spans;
}

// The same against layer names, as the analyses draw it: a categorical axis with long labels and
// one span a block.
inline plot::Figure layer_figure() {
  plot::Panel panel{.x = {.label = "Layer"},
                    .y = {.label = "Feature-map variance", .from_zero = true}};
  for (int stage = 1, at = 0; stage <= 4; ++stage)
    for (int block = 1; block <= (stage == 1   ? 4
                                  : stage == 2 ? 4
                                  : stage == 3 ? 6
                                               : 3);
         ++block, ++at) {
      panel.x.categories.push_back("stage" + std::to_string(stage) + ".block" +
                                   std::to_string(block));
      const bool attention = stage > 1 && block % 2 == 0;
      panel.spans.push_back({at - 0.5, at + 0.5,
                             stage > 1 && block == 1 ? plot::Kind::subsampling
                             : attention             ? plot::Kind::attention
                                                     : plot::Kind::convolution});
    }
  plot::Line line{.name = "trained", .y = kVarianceResNet},
      untrained{.name = "random weights", .y = kVarianceResNet};
  for (double& y : untrained.y) y = 0.3 + 0.2 * y;
  for (size_t i = 0; i < 17; ++i) line.x.push_back(static_cast<double>(i));
  untrained.x = line.x;
  panel.lines = {line, untrained};
  panel.references = {{.at = 0.5, .label = "half"}};
  return {.name = "variance-layers",
          .title = "The same against the names of the layers.",
          .panels = {panel}};
}

inline Section variance_section() {
  plot::Panel panel{.x = {.label = "Normalised depth"},
                    .y = {.label = "Feature-map variance", .from_zero = true}};
  const double step = 1.0 / 16;
  const auto span = [&](int from, int to, plot::Kind kind) {
    panel.spans.push_back({from * step, to * step, kind});
  };
  span(0, 3, plot::Kind::convolution);
  span(3, 4, plot::Kind::subsampling);
  span(4, 7, plot::Kind::convolution);
  span(7, 8, plot::Kind::subsampling);
  span(8, 13, plot::Kind::convolution);
  span(13, 14, plot::Kind::subsampling);
  span(14, 16, plot::Kind::convolution);
  panel.lines = {{.name = "ResNet-50", .x = evenly(17), .y = kVarianceResNet},
                 {.name = "ViT-Ti", .x = evenly(25), .y = kVarianceViT}};
  return {
      .name = "variance",
      .title = "Variance of feature maps along depth",
      .question = "Do attention blocks smooth their feature maps while convolutions sharpen them?",
      .figures = {{.name = "variance",
                   .title = "Spatial variance of each block\u2019s output, "
                            "averaged over channels and pictures.",
                   .alt = "ResNet-50 rises within each stage and falls at each "
                          "subsampling; ViT-Ti stays below 0.1.",
                   .panels = {panel}},
                  layer_figure()},
      .reading =
          "Each point is one block. A line that rises means that the block adds contrast between "
          "places; a line that falls means that it averages them away. The strip above the plot "
          "says what each block is made of.",
      .finding =
          "Variance rises 4.9-fold within stage 1 of ResNet-50 and falls by 53 % at the "
          "subsampling into stage 3, while ViT-Ti never exceeds 0.093.",
      .caveats = {"Variances of networks with different normalisation are comparable in trend, not "
                  "in size.",
                  "Read from a published figure; precise to about 0.01."},
      .values = {{.key = "peak",
                  .label = "Largest variance",
                  .value = 0.836,
                  .detail = "ResNet-50, end of stage 3"}}};
}

inline Section fourier_section() {
  plot::Panel curves{.title = "ViT-Ti, all blocks",
                     .x = {.label = "Frequency", .unit = "\u03c0"},
                     .y = {.label = "\u0394 log amplitude"}};
  for (size_t i = 0; i < kFourierViT.size(); ++i) {
    plot::Line line{.name = "block " + std::to_string(i),
                    .x = evenly(7),
                    .shade = static_cast<double>(i) / 24.0};
    for (const double f : line.x)
      line.y.push_back(kFourierViT[i] * (1 - std::exp(-3.2 * f)) / (1 - std::exp(-3.2)));
    curves.lines.push_back(line);
  }
  plot::Panel depth{.title = "High-frequency end",
                    .x = {.label = "Normalised depth"},
                    .y = {.label = "\u0394 log amplitude at 1.0\u03c0"}};
  depth.spans = alternating_spans(25);
  depth.lines = {{.name = "ViT-Ti", .x = evenly(25), .y = kFourierViT}};
  depth.references = {{.at = -2.45, .label = "mean over blocks"}};
  return {
      .name = "fourier",
      .title = "Frequencies that each block passes",
      .question = "Does self-attention behave like a low-pass filter?",
      .figures = {{.name = "fourier",
                   .title = "Log amplitude of feature maps relative to the zero frequency.",
                   .alt = "Amplitude falls with frequency in every block, most after attention.",
                   .panels = {curves, depth},
                   .columns = 2,
                   .shade = {.label = "Block", .low = "first", .high = "last"}}},
      .reading =
          "Left: the lower a curve ends, the fewer fine details the block passes on. Right: "
          "the ends of these curves along depth. A fall under an M strip is attention removing "
          "high frequencies.",
      .finding =
          "Ten of twelve attention blocks lower the high-frequency amplitude, by 0.15 on average; "
          "eleven of twelve MLPs raise it.",
      .caveats = {"White noise itself shows +0.35 at generic frequencies, because the mean of "
                  "logarithms is taken."}};
}

inline plot::Heatmap cka_map(int64_t n, bool blocks, const std::string& stem) {
  plot::Heatmap map{
      .rows = n, .columns = n, .value = "CKA", .low = 0, .high = 1, .origin_bottom = true};
  const auto stage = [&](int64_t i) { return i * 4 / n; };
  for (int64_t r = 0; r < n; ++r) {
    map.row_labels.push_back(stem + std::to_string(r));
    for (int64_t c = 0; c < n; ++c) {
      const double distance = std::abs(static_cast<double>(r - c)) / static_cast<double>(n);
      const double grid = r % 3 == c % 3 ? 0.06 : 0;
      const double value = blocks ? 0.93 * std::exp(-2.1 * distance) -
                                        0.22 * static_cast<double>(stage(r) != stage(c)) + grid
                                  : 0.94 * std::exp(-0.55 * distance) + grid;
      map.values.push_back(r == c ? 1 : std::min(0.99, std::max(0.02, value)));
    }
  }
  map.column_labels = map.row_labels;
  for (int64_t s = 0; s < 4; ++s)
    map.row_groups.push_back({"stage " + std::to_string(s + 1), s * n / 4, (s + 1) * n / 4});
  map.column_groups = map.row_groups;
  return map;
}

inline Section cka_section() {
  plot::Panel self{
      .x = {.label = "Layer"}, .y = {.label = "Layer"}, .heatmap = cka_map(72, true, "layer ")};
  plot::Panel small{.title = "ResNet",
                    .x = {.label = "Block"},
                    .y = {.label = "Block"},
                    .heatmap = cka_map(16, true, "b")};
  plot::Panel vit = small;
  vit.title = "ViT";
  vit.heatmap = cka_map(16, false, "b");
  vit.heatmap->row_groups = vit.heatmap->column_groups = {};
  small.heatmap->values[5 * 16 + 9] = std::nan("");
  return {.name = "cka",
          .title = "Similarity of layers",
          .question =
              "Which layers represent the pictures alike: does the "
              "network work in stages, or uniformly?",
          .figures = {{.name = "cka-self",
                       .title = "Linear CKA (unbiased, minibatch) between all pairs of 72 layers.",
                       .alt = "Four bright blocks along the diagonal, one per stage.",
                       .panels = {self}},
                      {.name = "cka-cross",
                       .title = "The same for the blocks of two networks; hatched: no value.",
                       .panels = {small, vit},
                       .columns = 2}},
          .reading =
              "Bright cells are pairs of layers that sort the pictures alike. Bright squares along "
              "the diagonal mean stages; an evenly bright map means "
              "that early and late layers agree.",
          .finding =
              "Layers of one stage agree (mean CKA 0.78); across stages agreement halves (0.41).",
          .caveats = {"CKA is blind to rotations and to uniform scale."},
          .values = {{.key = "within",
                      .label = "Mean CKA within stages",
                      .value = 0.78,
                      .detail = "across stages 0.41",
                      .headline = true}},
          .arrays = {{.name = "cka-self", .shape = {72, 72}, .values = self.heatmap->values}}};
}

inline Section calibration_section() {
  std::vector<plot::ReliabilityBin> bins;
  const int64_t counts[] = {0, 12, 96, 214, 388, 571, 744, 961, 1630, 5384};
  for (int i = 0; i < 10; ++i) {
    const double centre = 0.1 * i + 0.05;
    const double accuracy = std::min(0.99, centre + 0.09 * std::sin(3.1 * centre));
    bins.push_back({.low = 0.1 * i,
                    .high = 0.1 * (i + 1),
                    .confidence = centre + 0.01,
                    .n = counts[i],
                    .correct = std::llround(static_cast<double>(counts[i]) * accuracy)});
  }
  const std::vector<std::string> classes = {"airplane", "automobile", "bird",  "cat",  "deer",
                                            "dog",      "frog",       "horse", "ship", "truck"};
  std::vector<int64_t> confusion(100);
  RandomSequence random({.seed = 3, .site = site_of("confusion")});
  for (size_t r = 0; r < 10; ++r)
    for (size_t c = 0; c < 10; ++c)
      confusion[r * 10 + c] = r == c ? 830 + random.below(120) : random.below(22);
  confusion[35] = 118, confusion[53] = 131, confusion[19] = 47, confusion[91] = 39;
  return {
      .name = "calibration",
      .title = "Honesty of the confidences",
      .question = "When the network says 80 %, is it right four times out of five?",
      .figures = {plot::reliability_figure("reliability",
                                           "Accuracy against confidence on 10\u202f000 test "
                                           "pictures, with 95 % Wilson intervals.",
                                           bins),
                  plot::confusion_figure(
                      "confusion",
                      "Which classes are taken for which, in per cent of each true class.", classes,
                      confusion)},
      .reading =
          "A bar above the dashed diagonal means that the network is better than it claims "
          "(under-confident).",
      .finding = "The network is under-confident: ECE 5.2 %, all of it on the cautious side.",
      .caveats =
          {"A perfectly calibrated network of this size would still show an ECE of about 0.9 %."},
      .values = {{.key = "ece",
                  .label = "Calibration error",
                  .value = 5.2,
                  .text = "5.2 %",
                  .detail = "ECE, 10 bins; floor for n = 10\u202f000: 0.9 %",
                  .headline = true},
                 {.key = "nll", .label = "NLL", .value = 0.412}}};
}

inline plot::Picture picture(uint64_t seed) {
  plot::Picture p{.width = 32, .height = 32};
  RandomSequence random({.seed = seed, .site = site_of("picture")});
  const double cx = random.uniform(9, 23), cy = random.uniform(9, 23),
               hue = random.uniform(0, 6.28f);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x) {
      const bool inside = std::hypot(x - cx, y - cy) < 8;
      for (int channel = 0; channel < 3; ++channel) {
        const double base = inside
                                ? 150 + 90 * std::sin(hue + channel * 2.1)
                                : 90 + 2.2 * y + 30 * std::sin(0.9 * x + hue) * std::sin(0.7 * y);
        p.rgb.push_back(
            static_cast<uint8_t>(std::min(255.0, std::max(0.0, base + 12 * random.normal()))));
      }
    }
  p.overlay_width = p.overlay_height = 8;
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x)
      p.overlay.push_back(
          std::exp(-(std::pow(x * 4 + 2 - cx, 2) + std::pow(y * 4 + 2 - cy, 2)) / 90));
  return p;
}

inline Section rollout_section() {
  plot::Pictures grid{.columns = 4,
                      .column_titles = {"input", "mean", "max", "min"},
                      .row_titles = {"ship", "horse", "truck"},
                      .overlay_value = "Share of attention"};
  for (uint64_t row = 0; row < 3; ++row)
    for (int column = 0; column < 4; ++column) {
      plot::Picture p = picture(row + 4);
      p.alt = column == 0 ? "input picture" : "input picture with the rollout on it";
      if (column == 0) p.overlay.clear(), p.overlay_width = p.overlay_height = 0;
      if (column == 2)
        for (double& v : p.overlay) v = std::sqrt(v);
      if (column == 3)
        for (double& v : p.overlay) v = v * v;
      grid.cells.push_back(p);
    }
  return {.name = "rollout",
          .title = "Where attention comes from",
          .question = "Which places of the picture reach the decision?",
          .figures = {{.name = "rollout",
                       .title = "Attention rollout on test pictures, heads fused three ways.",
                       .alt = "Attention sits on the object.",
                       .pictures = grid}},
          .reading =
              "The brighter the overlay, the larger the share of the "
              "final token that came from that place.",
          .finding = "On 3 of 3 pictures the rollout peaks inside the object."};
}

inline Section noise_section() {
  plot::Panel panel{.x = {.label = "Frequency of the noise", .unit = "\u03c0"},
                    .y = {.label = "Change of accuracy", .unit = "points"}};
  panel.lines = {{.name = "ResNet-50", .x = evenly(9, .1, .9), .y = kNoiseResNet},
                 {.name = "ViT-Ti", .x = evenly(9, .1, .9), .y = kNoiseViT}};
  for (plot::Line& line : panel.lines)
    for (const double y : line.y) line.low.push_back(y - 0.8), line.high.push_back(y + 0.8);
  plot::Panel map{.x = {.label = "Horizontal frequency"}, .y = {.label = "Vertical frequency"}};
  map.heatmap = plot::Heatmap{.rows = 31,
                              .columns = 31,
                              .value = "Change against clean (points)",
                              .map = plot::ColorMap::diverging};
  for (int r = 0; r < 31; ++r)
    for (int c = 0; c < 31; ++c)
      map.heatmap->values.push_back(14 * std::sin(0.31 * std::hypot(r - 15, c - 15)) - 3);
  return {
      .name = "noise",
      .title = "Noise of one frequency",
      .question = "Which frequencies hurt?",
      .figures = {{.name = "noise",
                   .title = "Loss of accuracy under noise limited to one frequency band.",
                   .panels = {panel}},
                  {.name = "fourier-map",
                   .title = "The same for single two-dimensional waves.",
                   .panels = {map}}},
      .reading = "The deeper a curve dips, the more the network relies on that band.",
      .finding =
          "ResNet-50 loses most at high frequencies (15.4 points at 0.9\u03c0), ViT-Ti at low ones "
          "(14.9 at 0.3\u03c0)."};
}

inline Section lesion_section() {
  plot::Bars bars{.name = "Accuracy change"};
  plot::Panel panel{.x = {.label = "Removed unit"},
                    .y = {.label = "Change of accuracy", .unit = "points"}};
  const std::vector<std::string> names = {"2A",  "3M",  "5A",  "6M",  "7A",  "8M",  "10A", "11M",
                                          "12A", "13M", "14A", "15M", "16A", "17M", "18A", "19M",
                                          "20A", "21M", "23A", "24M", "25A", "26M"};
  bars.y = {-1.96, -.43, -.42, -.60, -1.44, -.22, -.23, -.69,  -.16,  -.28,  -.39,
            -.17,  -.23, -.22, -.60, -.30,  -.56, 0,    -1.09, -1.07, -1.88, -1.0};
  for (size_t i = 0; i < names.size(); ++i) {
    bars.x.push_back(static_cast<double>(i));
    bars.kinds.push_back(names[i].back() == 'A' ? plot::Kind::attention : plot::Kind::mlp);
  }
  panel.x.categories = names;
  panel.bars = {bars};
  plot::Panel scatter{
      .x = {.label = "Parameters", .scale = plot::Scale::log10, .low = 4e6, .high = 5e7},
      .y = {.label = "Accuracy", .unit = "%"}};
  scatter.points = {{.name = "CIFAR-100",
                     .x = {5.4e6, 4.6e6, 2.75e7, 2.37e7, 2.8e7, 3.3e7, 4.77e6},
                     .y = {66.51, 76.04, 76.70, 82.35, 82.48, 84.02, 64.41},
                     .labels = {"ViT-Ti", "PiT-Ti", "Swin-Ti", "ResNeXt-50", "ResNet-50",
                                "Alter-ResNet-50", "Mixer-Ti"},
                     .label_points = true}};
  plot::Panel density{.x = {.label = "Eigenvalue"},
                      .y = {.label = "Density", .scale = plot::Scale::log10}};
  plot::Line a{.name = "ResNet", .x = evenly(5000, -120, 900), .fill = true},
      b{.name = "ViT", .x = a.x, .fill = true};
  for (const double x : a.x) {
    a.y.push_back(1e-6 + 4e-3 * std::exp(-std::pow((x - 290) / 150, 2)));
    b.y.push_back(1e-6 + 2e-2 * std::exp(-std::pow((x - 36) / 20, 2)) +
                  4e-3 * std::exp(-std::pow((x + 31) / 15, 2)));
  }
  density.lines = {a, b};
  density.references = {{.along = plot::Reference::Along::vertical, .at = 0, .label = "zero"}};
  return {
      .name = "lesion",
      .title = "What breaks when a unit goes",
      .question = "Which units matter?",
      .figures =
          {{.name = "lesion",
            .title = "Accuracy after removing one unit of Swin-Ti (A: attention, M: MLP).",
            .panels = {panel}},
           {.name = "scatter", .title = "Accuracy on CIFAR-100 against size.", .panels = {scatter}},
           {.name = "density", .title = "Density of Hessian eigenvalues.", .panels = {density}}},
      .reading = "Deep bars mark units that the others cannot replace.",
      .finding =
          "Removing the first attention unit of a stage costs 1.3 points on average, an MLP 0.5."};
}

inline ReportHeader header() {
  return {
      .title = "AlterNet on CIFAR-10",
      .subtitle = "Run 2024-05-01T10-12-alternet-cifar10, analysed in 1 min 48 s",
      .answer =
          "A small network of convolution blocks that ends each stage with self-attention reaches "
          "86.4 % after five minutes of training. Its attention "
          "blocks smooth, its convolutions sharpen.",
      .headline = {{.key = "accuracy",
                    .label = "Test accuracy",
                    .value = 86.4,
                    .text = "86.4 %",
                    .detail = "95 % interval 85.7 to 87.1, n = 10\u202f000"},
                   {.key = "parameters", .label = "Parameters", .value = 2.4e6, .text = "2.4 M"}},
      .runs = {{.name = "alternet",
                .settings = {{"model", "alternet (CC.CM.CM.CM)"},
                             {"data", "cifar10"},
                             {"epochs", "18"},
                             {"batch size", "256"},
                             {"optimiser", "SGD, Nesterov 0.9"},
                             {"learning rate", "0.4, one cycle"},
                             {"weight decay", "5e-4"},
                             {"seed", "7"},
                             {"precision", "bf16"},
                             {"threads", "2"},
                             {"training time", "4 min 52 s"},
                             {"machine", "2 cores, AVX-512"}}}},
      .commands = {"cd build", "./train --model alternet --seed 7", "./analyze --run last"}};
}

inline std::vector<Section> sections() {
  return {cka_section(),     fourier_section(),     variance_section(), noise_section(),
          rollout_section(), calibration_section(), lesion_section()};
}

}  // namespace passband::demo
