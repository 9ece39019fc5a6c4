#include "analysis/study/compare.h"

#include <cmath>

#include "tensor/core/error.h"

namespace passband {

std::string side_by_side(const std::vector<Subject>& subjects, const std::vector<double>& values,
                         const std::function<std::string(double)>& text) {
  CHECK(subjects.size() == values.size(), "side_by_side: ", values.size(), " values for ",
        subjects.size(), " networks");
  std::string result;
  size_t most = values.size(), least = values.size();
  for (size_t s = 0; s < values.size(); ++s) {
    const bool finite = std::isfinite(values[s]);
    result += (s == 0 ? "" : ", ") + subjects[s].label + " " + (finite ? text(values[s]) : "–");
    if (!finite) continue;
    if (most == values.size() || values[s] > values[most]) most = s;
    if (least == values.size() || values[s] < values[least]) least = s;
  }
  if (values.size() < 3 || most == least || most == values.size()) return result;
  return result + " (most " + subjects[most].label + ", least " + subjects[least].label + ")";
}

}  // namespace passband
