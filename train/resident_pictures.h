// A data set whose pictures stay in a device's memory as bytes, so that batches are made there.
#pragma once
#include <memory>
#include <span>

#include "data/dataset.h"
#include "tensor/core/asynchronous.h"
#include "tensor/ops/training/make_batch.h"

namespace passband {

class ResidentPictures {
 public:
  // The most that the pictures may take of the device's free memory: the rest is for activations.
  static constexpr double kMaxShare = 0.25;

  // Nothing on the CPU, of files, and where the pictures would take more than that.
  static std::unique_ptr<ResidentPictures> upload(const Dataset& dataset, Device device);

  // images (B, size, size, 3) f32 or bf16 of the pictures `indices`: those of make_train_batch
  // (data/augment.h), mixed as by mix() (nn/mixing.h); with crop.centred those of
  // make_eval_batch. The host does not wait.
  void make_batch(Tensor images, std::span<const int64_t> indices, const CropOptions& crop,
                  const RandomKey& key, const Mixing& mixing = {});

 private:
  ResidentPictures(const Dataset& dataset, Device device);

  Tensor pictures_;  // (count, height, width, 3) u8
  Tensor indices_;   // (B) i32, of the batch
  Normalisation normalisation_;
  Upload upload_;
};

}  // namespace passband
