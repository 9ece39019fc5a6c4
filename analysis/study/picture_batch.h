// A batch of test pictures that something is added to: what noise, waves and receptive fields start
// from.
#pragma once
#include <vector>

#include "analysis/study/subject.h"

namespace passband {

struct PictureBatch {
  std::vector<int64_t> indices;  // in the data set
  Tensor images;                 // see network_images
  std::vector<int32_t> labels;
};

PictureBatch load_batch(const Model& model, const Dataset& data,
                        const std::vector<int64_t>& indices);

// Pictures of `batch` that `model` reads right when shown `images`, in evaluation mode, f32,
// without a graph. Throws NotFinite.
int64_t count_correct(const Model& model, const PictureBatch& batch, const Tensor& images);

// images + delta, where delta is in units of pixel / 255, kept in [0, 1] there, in the normalised
// space of `data`. `delta` broadcasts; it lies where the images lie.
Tensor add_clipped(const Dataset& data, const Tensor& images, const Tensor& delta);

}  // namespace passband
