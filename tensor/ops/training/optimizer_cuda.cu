// CUDA optimiser steps: one launch updates values, state, moving average and bf16 copy of all
// parameters.
//
// Bound by memory. Bytes a parameter in f32: AdamW reads value, two moments, gradient and decay
// mask and writes value and moments, 32; SGD 24; the average adds 8, the bf16 copy 2. Operations:
// about 15. Gradient clipping needs the norm first: a pass of 4 bytes, summed in levels and in a
// fixed order, whose scale the step reads from device memory, so that the host does not wait; so it
// reads what changes from step to step, and one recorded launch serves every step.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/reduce.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/training/optimizer_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

// The vectors of a step; null ones are left out.
template <class T, int States> struct StepMemory {
  T* values;
  T* state[States];
  const T* gradients;
  const float* decay_mask;
  T* average = nullptr;
  bf16* half = nullptr;
  const double* scale = nullptr;  // {norm, scale}
  const StepRates* rates = nullptr;
};

const StepRates* rates_in(const Tensor& rates) {
  return rates ? static_cast<const StepRates*>(rates.raw()) : nullptr;
}

// Updates the parameters [i, i + Width).
template <int Width, class T, class Rule>
__device__ __forceinline__ void step_at(const StepMemory<T, Rule::kStates>& memory, int64_t i,
                                        const Rule& rule, T scale, T average_rate) {
  Pack<T, Width> values = load_pack<Width>(memory.values + i), state[Rule::kStates];
  for (int s = 0; s < Rule::kStates; ++s) state[s] = load_pack<Width>(memory.state[s] + i);
  const Pack<T, Width> gradients = load_pack<Width>(memory.gradients + i);
  const Pack<float, Width> mask = load_pack<Width>(memory.decay_mask + i);
#pragma unroll
  for (int k = 0; k < Width; ++k) {
    const T gradient = scale * gradients[k], decays = static_cast<T>(mask[k]);
    if constexpr (Rule::kStates == 1) values[k] = rule(values[k], gradient, decays, state[0][k]);
    else values[k] = rule(values[k], gradient, decays, state[0][k], state[1][k]);
  }
  store_pack(memory.values + i, values);
  for (int s = 0; s < Rule::kStates; ++s) store_pack(memory.state[s] + i, state[s]);
  if (memory.average) {
    Pack<T, Width> average = load_pack<Width>(memory.average + i);
#pragma unroll
    for (int k = 0; k < Width; ++k) average[k] = averaged(average[k], values[k], average_rate);
    store_pack(memory.average + i, average);
  }
  if (memory.half) {
    Pack<bf16, Width> half;
#pragma unroll
    for (int k = 0; k < Width; ++k) half[k] = bf16(static_cast<float>(values[k]));
    store_pack(memory.half + i, half);
  }
}

template <class T, class Rule> __global__ void __launch_bounds__(kThreads)
    step_kernel(StepMemory<T, Rule::kStates> memory, int64_t n, bool aligned, Rule rule, T scale,
                T average_rate) {
  constexpr int kWidth = kPackWidth<T>;
  const int64_t first = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kWidth;
  if (memory.scale) scale *= static_cast<T>(memory.scale[1]);
  if (memory.rates) {
    rule.set(*memory.rates);
    average_rate = static_cast<T>(memory.rates->averaging);
  }
  if (aligned && first + kWidth <= n)
    return step_at<kWidth>(memory, first, rule, scale, average_rate);
  for (int64_t i = first; i < min(first + kWidth, n); ++i)
    step_at<1>(memory, i, rule, scale, average_rate);
}

template <class T, class Rule, class Options>
void launch_step(StepMemory<T, Rule::kStates> memory, int64_t n, Rule rule, const Options& options,
                 StepExtras extras) {
  if (n == 0) return;
  constexpr int kWidth = kPackWidth<T>;
  const StepRates rates = rates_of(options, extras.average_decay);
  rule.set(rates);
  memory.rates = rates_in(extras.rates);
  memory.average = extras.average ? extras.average.data<T>() : nullptr;
  memory.half = extras.half ? extras.half.data<bf16>() : nullptr;
  memory.scale = extras.scale ? extras.scale.data<double>() : nullptr;
  bool aligned = is_pack_aligned<kWidth>(memory.values) &&
                 is_pack_aligned<kWidth>(memory.gradients) &&
                 is_pack_aligned<kWidth>(memory.decay_mask) &&
                 is_pack_aligned<kWidth>(memory.average) && is_pack_aligned<kWidth>(memory.half);
  for (const T* state : memory.state) aligned = aligned && is_pack_aligned<kWidth>(state);
  launch({.grid = blocks_for(n, kThreads * kWidth), .block = kThreads, .stream = compute_stream()},
         step_kernel<T, Rule>, memory, n, aligned, rule, static_cast<T>(options.gradient_scale),
         static_cast<T>(rates.averaging));
}

template <class T> __global__ void __launch_bounds__(kThreads)
    average_kernel(T* average, const T* values, int64_t n, T rate, const StepRates* rates) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (rates) rate = static_cast<T>(rates->averaging);
  if (i < n) average[i] = averaged(average[i], values[i], rate);
}

__global__ void rates_kernel(StepRates* rates, StepRates values) { *rates = values; }

constexpr int64_t kChunk = 8192;  // gradients whose squares one block sums

template <class T> __global__ void __launch_bounds__(kThreads)
    square_sums_kernel(double* sums, const T* x, int64_t n) {
  constexpr int kWidth = kPackWidth<T>;
  const int64_t begin = blockIdx.x * kChunk, count = min(kChunk, n - begin);
  const T* from = x + begin;
  const int64_t packs = is_pack_aligned<kWidth>(from) ? count / kWidth : 0;
  T sum = 0;
#pragma unroll 4
  for (int64_t p = threadIdx.x; p < packs; p += kThreads) {
    const Pack<T, kWidth> pack = load_pack<kWidth>(from + p * kWidth);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum += pack[k] * pack[k];
  }
  for (int64_t i = packs * kWidth + threadIdx.x; i < count; i += kThreads) sum += from[i] * from[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = static_cast<double>(sum);
}

__global__ void __launch_bounds__(kThreads)
    clip_scale_kernel(double* scale, const double* sums, int64_t count, double most) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += sums[i];
  const double norm = sqrt(block_sum(sum));
  if (threadIdx.x > 0) return;
  scale[0] = norm;
  scale[1] = clipping_scale(norm, most);
}

template <class F> void dispatch_parameters(const Tensor& values, const char* op, F&& f) {
  if (values.dtype() == DType::f32) return f.template operator()<float>();
  if (values.dtype() == DType::f64) return f.template operator()<double>();
  throw Error(concat_text(op, ": parameters are f32 or f64, not ", values.describe()));
}

}  // namespace

void sgd_step(Tensor values, Tensor momentum, const Tensor& gradients, const Tensor& decay_mask,
              const SgdOptions& options, StepExtras extras) {
  dispatch_parameters(values, "sgd_step", [&]<class T>() {
    launch_step<T>(
        {values.data<T>(), {momentum.data<T>()}, gradients.data<T>(), decay_mask.data<float>()},
        values.numel(), SgdRule<T>(options), options, extras);
  });
}

void adamw_step(Tensor values, Tensor first, Tensor second, const Tensor& gradients,
                const Tensor& decay_mask, const AdamwOptions& options, StepExtras extras) {
  dispatch_parameters(values, "adamw_step", [&]<class T>() {
    launch_step<T>({values.data<T>(),
                    {first.data<T>(), second.data<T>()},
                    gradients.data<T>(),
                    decay_mask.data<float>()},
                   values.numel(), AdamwRule<T>(options), options, extras);
  });
}

void average_step(Tensor average, const Tensor& values, double decay, const Tensor& rates) {
  if (values.numel() == 0) return;
  dispatch_parameters(values, "average_step", [&]<class T>() {
    launch({.grid = blocks_for(values.numel(), kThreads),
            .block = kThreads,
            .stream = compute_stream()},
           average_kernel<T>, average.data<T>(), values.data<T>(), values.numel(),
           static_cast<T>(1 - decay), rates_in(rates));
  });
}

void clip_scale(Tensor scale, const Tensor& gradients, double most) {
  const int64_t n = gradients.numel(), chunks = (n + kChunk - 1) / kChunk;
  Tensor sums = Tensor::empty({chunks}, DType::f64, gradients.device());
  dispatch_parameters(gradients, "clip_scale", [&]<class T>() {
    if (n > 0)
      launch({.grid = blocks_for(chunks, 1), .block = kThreads, .stream = compute_stream()},
             square_sums_kernel<T>, sums.data<double>(), gradients.data<T>(), n);
    launch({.grid = 1, .block = kThreads, .stream = compute_stream()}, clip_scale_kernel,
           scale.data<double>(), sums.data<double>(), chunks, most);
  });
}

void set_rates(Tensor rates, const StepRates& values) {
  launch({.grid = 1, .block = 1, .stream = compute_stream()}, rates_kernel,
         static_cast<StepRates*>(rates.raw()), values);
}

}  // namespace passband::cuda
