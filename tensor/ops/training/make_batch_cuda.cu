// CUDA batch augmentation from pictures that stay in device memory.
//
// 512 pictures of 32 x 32 are 1.5 MB of bytes read and 3 MB of bf16 (6 MB of f32) written: some
// microseconds, less than the launch. Threads of a block share one picture, so that its crop is
// drawn once, and neighbours in a block read neighbouring bytes; each thread writes the three
// channels of its pixels.
// Considered: padding the pictures in memory once (no test for the border, 1.6 times the bytes at
// 32 x 32).
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/training/batch_pixels.h"
#include "tensor/ops/training/make_batch_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kPixels = 1024;  // of a picture that one block makes

template <class T> __global__ void __launch_bounds__(kThreads)
    batch_kernel(T* batch, const int32_t* index, int64_t count, int64_t set_size,
                 PixelMaker<Accumulate<T>> maker, RandomKey key, Divisor chunks, Divisor width) {
  SHARED(Crop, crops, [2]);  // own, partner's
  const int64_t i = chunks.quotient(blockIdx.x), area = maker.options.size * maker.options.size;
  const int64_t own = index[i], partner = index[count - 1 - i];
  // check_indices has said so
  if (own < 0 || own >= set_size || partner < 0 || partner >= set_size) return;
  if (threadIdx.x < 2)
    crops[threadIdx.x] = draw_crop(maker.options, key, threadIdx.x == 0 ? own : partner);
  __syncthreads();
  const int64_t begin = (blockIdx.x - i * chunks.value()) * kPixels,
                end = min(begin + kPixels, area);
  for (int64_t at = begin + threadIdx.x; at < end; at += kThreads) {
    const int64_t y = width.quotient(at), x = at - y * width.value();
    const auto pixel = maker.mixed(own, crops[0], partner, crops[1], y, x);
#pragma unroll
    for (int c = 0; c < 3; ++c) batch[(i * area + at) * 3 + c] = static_cast<T>(pixel.channels[c]);
  }
}

__global__ void __launch_bounds__(kThreads)
    targets_kernel(float* targets, const int32_t* labels, int64_t count, Divisor classes,
                   TargetMaker maker) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count * classes.value()) return;
  const int64_t row = classes.quotient(i);
  targets[i] = maker(i - row * classes.value(), labels[row], labels[count - 1 - row]);
}

}  // namespace

void make_batch(Tensor batch, const Tensor& pictures, const Tensor& indices,
                const CropOptions& options, const Normalisation& normalisation,
                const RandomKey& key, const Mixing& mixing) {
  if (batch.numel() == 0) return;
  const int64_t size = options.size, chunks = (size * size + kPixels - 1) / kPixels;
  dispatch_floating(batch.dtype(), "make_batch", [&]<class T>() {
    const PixelMaker<Accumulate<T>> maker(pictures, options, normalisation, mixing);
    launch({.grid = blocks_for(indices.numel() * chunks, 1),
            .block = kThreads,
            .stream = compute_stream()},
           batch_kernel<T>, batch.data<T>(), indices.data<int32_t>(), indices.numel(),
           pictures.size(0), maker, key, Divisor(chunks), Divisor(size));
  });
}

void mix_targets(Tensor targets, const Tensor& labels, double weight, double smoothing) {
  if (targets.numel() == 0) return;
  const int64_t classes = targets.size(1);
  launch({.grid = blocks_for(targets.numel(), kThreads),
          .block = kThreads,
          .stream = compute_stream()},
         targets_kernel, targets.data<float>(), labels.data<int32_t>(), labels.numel(),
         Divisor(classes), TargetMaker(classes, weight, smoothing));
}

}  // namespace passband::cuda
