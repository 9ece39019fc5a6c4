// What each part of a network does, as points over the kinds of parts: what a kind does everywhere
// is seen at once, whatever the depth.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "analysis/report/figure.h"
#include "analysis/study/verdict.h"
#include "nn/tap.h"

namespace passband {

struct PartEffect {
  BlockKind kind = BlockKind::conv;
  std::string label = {};  // of the part: "layer3.1"
  Estimate effect = {};
};

struct NetworkEffects {
  std::string network = {};
  std::vector<PartEffect> parts = {};  // by depth
};

// The mean over the parts, of one kind where it is given. All parts are judged by the same
// pictures, so that their errors may go together: the interval is as wide as theirs are on average.
// Not finite without such parts.
Estimate mean_effect(const NetworkEffects& effects, std::optional<BlockKind> kind = {});

// One panel with a line at zero, named `zero`: along x the kinds of parts that any network has, in
// the order of kKindWords; within a kind the networks beside each other, and of each network its
// parts from left to right by depth, with their intervals. Without any part the figure has no
// panel.
plot::Figure kind_figure(const std::string& name, const std::string& title, const plot::Axis& y,
                         const std::vector<NetworkEffects>& networks,
                         const std::string& zero = "no change");

}  // namespace passband
