// CPU loops of batch augmentation, for what the GPU kernel is compared with: the loader's own
// (data/augment.cpp) are made for speed.
#include "tensor/cpu/loops.h"
#include "tensor/ops/training/batch_pixels.h"
#include "tensor/ops/training/make_batch_kernels.h"

LEVEL_BEGIN

void make_batch(Tensor batch, const Tensor& pictures, const Tensor& indices,
                const CropOptions& options, const Normalisation& normalisation,
                const RandomKey& key, const Mixing& mixing) {
  const int64_t count = indices.numel(), size = options.size;
  const int32_t* index = indices.data<int32_t>();
  dispatch_floating(batch.dtype(), "make_batch", [&]<class T>() {
    using A = Accumulate<T>;
    T* to = batch.data<T>();
    const PixelMaker<A> maker(pictures, options, normalisation, mixing);
    parallel_for(count, grain_for(size * size * 3), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t own = index[i], partner = index[count - 1 - i];
        const Crop crop = draw_crop(options, key, own), other = draw_crop(options, key, partner);
        for (int64_t at = 0; at < size * size; ++at) {
          const Pixel<A> pixel = maker.mixed(own, crop, partner, other, at / size, at % size);
          for (int c = 0; c < 3; ++c) store(to[(i * size * size + at) * 3 + c], pixel.channels[c]);
        }
      }
    });
  });
}

void mix_targets(Tensor targets, const Tensor& labels, double weight, double smoothing) {
  const int64_t count = targets.size(0), classes = targets.size(1);
  const int32_t* label = labels.data<int32_t>();
  float* t = targets.data<float>();
  const TargetMaker maker(classes, weight, smoothing);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t k = 0; k < classes; ++k)
      t[i * classes + k] = maker(k, label[i], label[count - 1 - i]);
}

LEVEL_END
