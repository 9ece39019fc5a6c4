// Shares of a data set: for asking what a network learns from less, and for choosing its weights.
#pragma once
#include "data/dataset.h"

namespace passband {

// Of every class, ceil(fraction n_class) pictures by a fixed shuffle, in stored order: the same
// pictures whatever the seed of a run, and smaller fractions are contained in larger ones. fraction
// in (0, 1]. Throws UsageError.
Dataset subset(const Dataset& dataset, double fraction);

// A data set in two.
struct HeldOut {
  Dataset rest, held;
};

// Holds out round(fraction n_class) pictures of every class, one at least, drawn by `seed`; both
// parts keep the stored order, and the held one is called "val". fraction in (0, 1). Throws
// UsageError for another fraction, DataError naming a class of which nothing would be left.
HeldOut hold_out(const Dataset& dataset, double fraction, uint64_t seed);

}  // namespace passband
