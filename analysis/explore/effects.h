// What an edit does over many pictures: the table beside the edits of a page, so that one picture
// is never evidence.
#pragma once
#include "analysis/explore/edits.h"
#include "analysis/loss/lesion.h"

namespace passband {

struct EditEffect {
  Edit edit;
  LesionResult right;   // answers; without labels, pictures alone
  int64_t changed = 0;  // pictures whose answer is another
  double moved = 0;     // mean absolute change of a logit
};

// `images` pictures spread over `count`, one in so many, each a place further within its share:
// sets whose classes take turns are seen whole.
std::vector<int64_t> staggered_indices(int64_t count, int64_t images);

// Right answers of the network as it is, over such pictures.
struct Intact {
  int64_t pictures = 0, right = 0;
};
Intact count_right(const Model& model, const Dataset& data, int64_t images);

// Runs pictures of `data` through `model` and through each edit of it. Channels are shown a tenth
// of the pictures: they are many. Throws NotFinite for the network without edits. Time: edits + 1
// forward passes a picture.
std::vector<EditEffect> measure_effects(Model& model, const Dataset& data,
                                        const std::vector<Edit>& edits, int64_t images,
                                        const Progress& progress);

}  // namespace passband
