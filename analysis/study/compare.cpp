#include "analysis/study/compare.h"

#include <algorithm>
#include <cmath>

#include "tensor/core/error.h"

namespace passband {

std::string side_by_side(const std::vector<Subject>& subjects,
                         const std::vector<Estimate>& estimates,
                         const std::function<std::string(double)>& text, double floor) {
  CHECK(subjects.size() == estimates.size(), "side_by_side: ", estimates.size(), " values for ",
        subjects.size(), " networks");
  std::string result;
  std::vector<Named> list;
  for (size_t s = 0; s < subjects.size(); ++s) {
    const double value = estimates[s].value;
    const bool finite = std::isfinite(value);
    result += (s == 0 ? "" : ", ") + subjects[s].label + " " + (finite ? text(value) : "–");
    if (finite) list.push_back({subjects[s].label, estimates[s]});
  }
  if (list.size() < 2) return result;
  const Ends ends = ends_of(list, floor);
  if (!ends.differ) return result + " (no difference within the error)";
  if (subjects.size() < 3) return result;
  return result + " (most " + list[ends.most].name + ", least " + list[ends.least].name + ")";
}

}  // namespace passband
