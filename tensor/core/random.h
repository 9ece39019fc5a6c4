// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A value is a pure function of (seed, step, site, index): the same on every
// thread count and on every device.
#pragma once
#include <cmath>
#include <cstdint>
#include <string_view>

#include "tensor/core/dtype.h"

namespace passband {

// Where a random stream is used: `seed` of the run, `step` of training, `site` = the place in the
// program.
struct RandomKey {
  uint64_t seed = 0;
  uint64_t step = 0;
  uint64_t site = 0;
};

// A stable 64-bit site number from a name (FNV-1a).
constexpr uint64_t site_of(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

struct Philox4 {
  uint32_t v[4];
};

PASSBAND_HD inline Philox4 philox4x32(const uint32_t (&counter)[4], const uint32_t (&key)[2]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0],
           k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0, p1 = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0,
                   n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// Four random words for position `index` of the stream. Seed and site are mixed into the key, the
// step into the counter.
PASSBAND_HD inline Philox4 random_words(const RandomKey& key, uint64_t index) {
  const uint64_t mixed = key.seed * 0x9E3779B97F4A7C15ull ^ key.site;
  const uint32_t k[2] = {static_cast<uint32_t>(mixed), static_cast<uint32_t>(mixed >> 32)};
  const uint32_t c[4] = {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                         static_cast<uint32_t>(key.step), static_cast<uint32_t>(key.step >> 32)};
  return philox4x32(c, k);
}

// Uniform in [0, 1): 24 random bits.
PASSBAND_HD inline float uniform_of(uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}

// Element `index` of a uniform stream: four consecutive indices share one Philox block.
PASSBAND_HD inline float random_uniform(const RandomKey& key, uint64_t index) {
  return uniform_of(random_words(key, index / 4).v[index % 4]);
}

// A standard normal number (Box-Muller on one Philox block per element).
PASSBAND_HD inline float random_normal(const RandomKey& key, uint64_t index) {
  const Philox4 w = random_words(key, index);
  const double u = (static_cast<double>(w.v[0]) + 0.5) * 0x1p-32,
               t = static_cast<double>(w.v[1]) * 0x1p-32;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * t));
}

// Hands out one key after another, so that every draw has a stream of its own:
// `Generator random(42); Tensor::randn({64, 3}, random.next());`.
class Generator {
 public:
  explicit Generator(uint64_t seed) : next_{seed, 0, site_of("generator")} {}
  RandomKey next() {
    const RandomKey key = next_;
    ++next_.step;
    return key;
  }

 private:
  RandomKey next_;
};

// A sequence over one stream, for shuffles and drawn parameters.
class RandomSequence {
 public:
  PASSBAND_HD explicit RandomSequence(RandomKey key) : key_(key) {}
  PASSBAND_HD uint32_t next() { return random_words(key_, index_ / 4).v[index_++ % 4]; }
  PASSBAND_HD float uniform() { return uniform_of(next()); }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  // Uniform integer in [0, bound), by Lemire's multiplication (bias below 2^-32 * bound).
  PASSBAND_HD int64_t below(int64_t bound) {
    return static_cast<int64_t>((uint64_t{next()} * static_cast<uint64_t>(bound)) >> 32);
  }
  float normal() {
    const double u = (static_cast<double>(next()) + 0.5) * 0x1p-32,
                 t = static_cast<double>(next()) * 0x1p-32;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * t));
  }

 private:
  RandomKey key_;
  uint64_t index_ = 0;
};

}  // namespace passband
