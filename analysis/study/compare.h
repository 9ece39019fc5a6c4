// Sentences that compare all networks of a report.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "analysis/study/subject.h"
#include "analysis/study/verdict.h"

namespace passband {

// "resnet 83.1 %, vit 70.2 %, alternet 84.0 % (most alternet, least vit)": one value a network, in
// their order; from three networks on the ends are named where they differ, and where they do not
// that is said. Values that are not finite read as a dash and take no part.
std::string side_by_side(const std::vector<Subject>& subjects,
                         const std::vector<Estimate>& estimates,
                         const std::function<std::string(double)>& text, double floor = 0);

}  // namespace passband
