// Shape bias: decisions for shape or texture on pictures whose two cues name different
// categories (Geirhos et al., ICLR 2019), and how alike two networks decide (Geirhos, Meding and
// Wichmann, NeurIPS 2020). Time: one forward pass a picture. Memory: the pictures, and a decision
// for each.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace passband {

// What was decided on cue-conflict pictures. Pictures whose cues agree count nowhere.
struct CueDecisions {
  int64_t pictures = 0;                       // with cues that differ
  int64_t shape = 0, texture = 0;             // decided for the one or the other
  std::vector<int64_t> shape_of, texture_of;  // the same by category of the shape

  // shape / (shape + texture); NaN when neither was ever chosen.
  double bias() const;
};
CueDecisions count_decisions(const std::vector<int32_t>& decided,
                             const std::vector<int32_t>& shapes,
                             const std::vector<int32_t>& textures, int64_t categories);

// Cohen's kappa of being right: (c_obs - c_exp) / (1 - c_exp), c_exp = p1 p2 + (1 - p1)(1 - p2). 1:
// right and wrong on the same pictures; 0: agreement by chance. NaN when both are always right or
// always wrong (c_exp = 1).
double error_consistency(const std::vector<bool>& first_right,
                         const std::vector<bool>& second_right);

// How probabilities of member classes become that of a category.
enum class Pool { mean, sum, max };

// The category of largest pooled probability for each row of logits (n, classes). members[c]: the
// classes of category c; an empty one is never decided for.
std::vector<int32_t> decide(const std::vector<double>& logits, int64_t classes,
                            const std::vector<std::vector<int64_t>>& members, Pool pool);

// Cue-conflict pictures, and which of a network's classes make up each category.
struct ConflictPictures {
  Dataset pictures;  // shape_ids and texture_ids are categories
  std::vector<std::string> categories;
  std::vector<std::string> textures;  // what the texture of a category is called
  std::vector<std::vector<int64_t>> members;
  // pictures of a folder whose categories agree or are unknown to the network
  int64_t left_out = 0;
};

// `count` pictures of the built-in set at the size and normalisation of `like`, every one with cues
// of two classes.
ConflictPictures shapes_conflicts(const Dataset& like, int64_t count, uint64_t seed);

// Stimuli in a folder and its subfolders, named as published: cat7-dog3.png has the shape of a cat
// and the texture of a dog. Categories are the words of the names. Member classes come from
// `mapping`, a text file of lines "category: class class ..."; without one a category is the class
// of that name (car is also automobile, boat also ship), or for networks of ImageNet the classes
// that belong to it (imagenet_categories.h). Pictures are scaled to the size of `like`. Throws
// DataError naming the file that does not fit.
ConflictPictures folder_conflicts(const std::filesystem::path& folder,
                                  const std::filesystem::path& mapping, const Dataset& like);

}  // namespace passband
