// The analyses by name. Each is a function from subjects and pictures to one section of the report.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "analysis/report/report.h"
#include "analysis/subject.h"

namespace passband {

struct AnalysisInput {
  std::vector<Subject> subjects;  // the run first; then --untrained and --against
  const Dataset* data = nullptr;  // test pictures
  int64_t images = 0;             // --images; 0: each analysis' own number

  int64_t images_or(int64_t usual) const { return images > 0 ? images : usual; }
};

struct Analysis {
  std::string name;      // for --only
  std::string question;
  std::string cost;      // time and memory against pictures n and layers L
  std::function<Section(const AnalysisInput&)> run;
};

// In the order of the report.
const std::vector<Analysis>& analyses();

Section cka_section(const AnalysisInput& input);
Section fourier_section(const AnalysisInput& input);
Section variance_section(const AnalysisInput& input);
Section distance_section(const AnalysisInput& input);
Section rollout_section(const AnalysisInput& input);
Section calibration_section(const AnalysisInput& input);
Section confusion_section(const AnalysisInput& input);

}  // namespace passband
