// A section of the report, and the head of its page, as data.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "analysis/report/figure.h"

namespace passband {

// A number that answers something. `text` is how it reads ("86.4 %"), `value` what a program gets
// from summary.json.
struct ReportValue {
  std::string key = {};    // summary.json: "accuracy"
  std::string label = {};  // "Test accuracy"
  double value = 0;
  std::string text = {};     // empty: the value with four digits
  std::string detail = {};   // small print: "95 % interval 85.7 to 87.0, n = 10 000"
  bool headline = false;     // of a section's values: also shown at the head of the page
  std::string subject = {};  // label of the network it belongs to; empty: the first. Give one value
                             // of each key for every network: they are shown side by side
  double low = NAN, high = NAN;  // ends of its 95 % interval, where there is one
};

// What the numbers of one network say of a claim.
enum class Seen : uint8_t { seen, not_seen, cannot_tell };

// A claim about what networks do, and what each network's value of `key` says of it. The head of
// the page shows claims x networks.
struct ReportClaim {
  std::string text = {};  // "Attention blocks damp high frequencies"
  std::string key = {};   // of values of the same section
  std::vector<std::pair<std::string, Seen>> networks = {};  // label of the network
};

// A run as name and settings, in the order they are shown.
struct RunCard {
  std::string name = {};
  std::vector<std::pair<std::string, std::string>> settings = {};
  // what else defines it: shown where several runs differ in it
  std::vector<std::pair<std::string, std::string>> details = {};
};

struct ReportHeader {
  std::string title = {};     // "AlterNet on CIFAR-10"
  std::string subtitle = {};  // "run 2024-05-01T10:12-alternet-cifar10, analysed on ..."
  std::string answer = {};    // the run in one or two plain sentences
  std::vector<ReportValue> headline = {};
  std::vector<RunCard> runs = {};          // one column each; of several, what differs
  std::vector<std::string> commands = {};  // how to repeat it, one command a line
  // Names of sections in the order of the page; others follow, by name.
  std::vector<std::string> order = {};
  // Sections in the directory that were computed from other weights or pictures than those of this
  // page: marked on it, and left out of its headline.
  std::vector<std::string> stale = {};
};

// An array written as data/NAME.npy (f64, C order).
struct ReportArray {
  std::string name = {};
  std::vector<int64_t> shape = {};
  std::vector<double> values = {};
};

struct Section {
  std::string name = {};  // file name stem and anchor: a-z 0-9 - _
  std::string title = {};
  std::string question = {};
  std::vector<plot::Figure> figures = {};
  std::string reading = {};  // how to read the figure
  std::string finding = {};  // what this run shows: one sentence computed from the numbers
  std::vector<std::string> caveats = {};
  std::vector<ReportValue> values = {};
  std::vector<ReportClaim> claims = {};  // see add_claim
  std::vector<ReportArray> arrays = {};
  bool applies = true;  // to any of the networks; else `finding` says why it does not
  // What was left out because its numbers are not finite, one line each: network, layer, quantity.
  std::vector<std::string> not_finite = {};
  std::string key = {};  // fingerprint of (weights, data, settings), for reuse; see stored_key
};

}  // namespace passband
