// The 16 everyday categories in which cue-conflict pictures are named (airplane, bear, bicycle,
// bird, boat, bottle, car, cat, chair, clock, dog, elephant, keyboard, knife, oven, truck), over
// the classes of ImageNet-1k: 207 of the 1000 belong to one (Geirhos et al., NeurIPS 2018 and ICLR
// 2019; lists of github.com/bethgelab/model-vs-human).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace passband {

// Which of `classes` belong to `category`: those named by a WordNet id of it ("n02690373"), so that
// folders with part of ImageNet work too; by their place where 1000 classes carry other names,
// which are then taken to be in ImageNet's order. Empty for any other category or set of classes.
std::vector<int64_t> imagenet_members(const std::string& category,
                                      const std::vector<std::string>& classes);

}  // namespace passband
