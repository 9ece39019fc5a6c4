#include "analysis/relevance/faithfulness.h"

namespace passband {

Estimate advantage(const Faithfulness& f, size_t i) {
  std::vector<double> gains;
  for (size_t n = 0; n < f.areas[i].size(); ++n) gains.push_back(f.areas.back()[n] - f.areas[i][n]);
  return mean_of(gains);
}

std::string against_chance(const Faithfulness& f) {
  std::string text;
  for (size_t i = 0; i + 1 < f.names.size(); ++i) {
    const Verdict verdict = judge(advantage(f, i));
    text += i == 0 ? "" : ", ";
    text += verdict == Verdict::above   ? f.names[i] + " does better"
            : verdict == Verdict::below ? "random order beats " + f.names[i]
                                        : f.names[i] + " does no better within the error";
  }
  return "Against a random order: " + text;
}

}  // namespace passband
