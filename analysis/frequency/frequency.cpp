#include "analysis/frequency/frequency.h"

#include "analysis/frequency/fourier_section.h"
#include "analysis/frequency/heatmap_section.h"
#include "analysis/frequency/noise_section.h"
#include "analysis/frequency/variance_section.h"

namespace passband {
namespace {

double fourier_work(const AnalysisInput& input) {
  return 3 * static_cast<double>(input.pictures(512));
}

double noise_work(const AnalysisInput& input, const NoiseOptions& options) {
  return static_cast<double>(input.pictures(1000)) *
         static_cast<double>(1 + 2 * options.centres.size());
}

double heatmap_work(const AnalysisInput& input, const HeatmapOptions& options) {
  const double waves = heatmap_waves(options, input.subjects.front().model->options().image_size);
  return static_cast<double>(input.pictures(options.images)) * (1 + waves);
}

double variance_work(const AnalysisInput& input) {
  return static_cast<double>(input.pictures(1000));
}

const std::vector<Analysis> kFrequencyTable = {
    {.name = "fourier",
     .title = "Frequencies in feature maps",
     .question =
         "Does a block pass or stop high frequencies: is it a high-pass or a low-pass filter?",
     .cost = "time: n forward passes and an FFT per channel of each of L layers; memory: H W "
             "doubles per layer",
     .work = fourier_work,
     .splits_pictures = true,
     .options = options_of<FourierOptions>(
         {{"bias",
           &FourierOptions::bias,
           "mark what white noise reads, or subtract it",
           {{"mark", NoiseBias::mark}, {"subtract", NoiseBias::subtract}}},
          {"axis",
           &FourierOptions::axis,
           "frequencies as they are, or stretched to end at 1.0 pi as published",
           {{"exact", FrequencyAxis::exact}, {"published", FrequencyAxis::published}}}}),
     .run = fourier_section},
    {.name = "noise",
     .title = "Noise of one frequency",
     .question = "Does noise of low or of high frequency hurt the network more?",
     .cost = "time: 2 n forward passes per band and n more, 19 n for 9 bands, whatever the depth; "
             "memory: one batch",
     .work = noise_work,
     .splits_pictures = true,
     .uses_labels = true,
     .options = options_of<NoiseOptions>(
         {{"frequencies", &NoiseOptions::centres, "centres of the bands, in units of pi"},
          {"epsilon", &NoiseOptions::epsilon,
           "of the sign noise, in units of the normalised input"},
          {"half_width", &NoiseOptions::half_width, "of a band, in radians per pixel"},
          {"ring",
           &NoiseOptions::shape,
           "the band, or the bins of the published script",
           {{"symmetric", RingShape::symmetric}, {"park_kim", RingShape::park_kim}}}}),
     .run = noise_section},
    {.name = "heatmap",
     .title = "Fourier heat map",
     .question = "Which single wave, laid over a picture, does the network not see through?",
     .cost = "time: n forward passes per frequency, (side / step)^2 / 2 of them; memory: one batch",
     .quick = false,
     .work = heatmap_work,
     .splits_pictures = true,
     .uses_labels = true,
     .options = options_of<HeatmapOptions>(
         {{"images", &HeatmapOptions::images, "pictures for each frequency"},
          {"step", &HeatmapOptions::step, "between measured frequencies; 1 is all of them"},
          {"reach", &HeatmapOptions::reach,
           "largest frequency; 0 is half of the side, 31 the published region for 224 x 224"},
          {"norm", &HeatmapOptions::norm,
           "of a wave, per channel; 0 is the published one for the size"}}),
     .run = heatmap_section},
    {.name = "variance",
     .title = "Variance of feature maps",
     .question = "Where does the network spread its feature maps, and where does it smooth them?",
     .cost = "time: n forward passes; memory: a number for each of L layers",
     .work = variance_work,
     .splits_pictures = true,
     .run = variance_section},
};

}  // namespace

const std::vector<Analysis>& frequency_wing() { return kFrequencyTable; }

}  // namespace passband
