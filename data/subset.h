// A share of a data set, for asking what a network learns from less.
#pragma once
#include "data/dataset.h"

namespace passband {

// Of every class, ceil(fraction n_class) pictures by a fixed shuffle, in stored order: the same
// pictures whatever the seed of a run, and smaller fractions are contained in larger ones. fraction
// in (0, 1]. Throws UsageError.
Dataset subset(const Dataset& dataset, double fraction);

}  // namespace passband
