// Verdicts: what may be said of numbers that were measured on some of all pictures. Every sentence
// that ranks, compares or judges asks here first.
#pragma once
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "analysis/report/section.h"

namespace passband {

// A number and the 95 % interval that it is known to.
struct Estimate {
  double value = NAN, low = NAN, high = NAN;

  static Estimate exact(double value) { return {value, value, value}; }
  static Estimate within(double value, double half) { return {value, value - half, value + half}; }
};

// `part` of `count` pictures, with the interval of Wilson (1927).
Estimate share_of(double part, double count);
// Those of the values that are finite.
std::vector<double> finite_ones(const std::vector<double>& values);
// The mean of independent values, 1.96 standard errors to each side; of a single one nothing is
// known beyond it.
Estimate mean_of(const std::vector<double>& values);
// How the share of right answers to `count` pictures changes when `lost` of them turn wrong and
// `gained` turn right, with the interval of Agresti and Min (2005) for paired answers, half an
// answer added to each of the four kinds: of few pictures that all changed, too.
Estimate paired_change(double lost, double gained, double count);
// Of answers, right ones true: the share of these.
double share_right(const std::vector<bool>& answers);
// Of two lists of answers to the same pictures.
Estimate change_of_answers(const std::vector<bool>& before, const std::vector<bool>& after);
// a - b of independent estimates: their distances to the ends, squared and added (Newcombe 1998,
// method 10).
Estimate difference(const Estimate& a, const Estimate& b);
// A number of several groups, from what it is without each one of them: Tukey's jackknife, with the
// interval of Student's t. Nothing is known beyond it with fewer than three groups.
Estimate jackknife(double value, const std::vector<double>& without);
// The smallest of the estimates, with an interval wide enough for the choice of one among so many
// (Bonferroni); those that are not finite take no part.
Estimate least_of(const std::vector<Estimate>& estimates);
// The same number in another unit.
Estimate scaled(const Estimate& e, double factor);

enum class Verdict : uint8_t { unknown, below, alike, above };

// Where an estimate lies: `alike` when its interval holds the reference or when it is no further
// from it than `floor`, below which the number says nothing; `unknown` when it is not finite.
Verdict judge(const Estimate& estimate, double reference = 0, double floor = 0);

// What an estimate says of the claim that it lies on one `side` (above or below) of the reference:
// seen when its interval does, and by more than `floor`; not seen when it lies on the other side,
// or when the interval holds nothing that is further away than `floor`; else it cannot be told.
Seen claim_seen(const Estimate& estimate, Verdict side, double reference = 0, double floor = 0);

// A number of something that has a name.
struct Named {
  std::string name;
  Estimate estimate;
};

// The ends of a list, or that it has none: `differ` is the verdict of its largest less its smallest
// number, with intervals wide enough for the choice of two among so many (Bonferroni). Numbers that
// are not finite take no part; with fewer than two others nothing differs.
struct Ends {
  size_t least = 0, most = 0;
  bool differ = false;
};
Ends ends_of(const std::vector<Named>& list, double floor = 0);

// "70.2 to 84.0 %", or "70.2 %" where both read the same.
std::string range_text(double low, double high, const std::function<std::string(double)>& text);
// Of all finite numbers of a list; "none" without any.
std::string range_text(const std::vector<double>& values,
                       const std::function<std::string(double)>& text);

// What parts show together: "1.2 on average" where the mean stands for them all (one sign, none
// more than twice another), else "0.3 to 6.1".
std::string together(const std::vector<double>& values,
                     const std::function<std::string(double)>& text);

}  // namespace passband
