// Tensor-core instructions, with the fragment layouts of the PTX ISA (sections "Matrix Fragments
// for mma.m16n8k16", "... mma.m16n8k8" and "ldmatrix"). In a fragment, lane = 4 * group + member.
#include <bit>

#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

namespace {

struct MmaArgument {
  const uint32_t* a;
  const uint32_t* b;
  float* d;
};

float low_bf16(uint32_t pair) { return std::bit_cast<float>(pair << 16); }
float high_bf16(uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); }
// The hardware reads 19 bits of a tf32 operand and ignores the rest.
float tf32(uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); }

// d (16, 8) += a (16, depth) b (depth, 8), f32 accumulation. A GPU adds in another order and width.
template <int depth>
void multiply(void** arguments, const float (&a)[16][depth], const float (&b)[depth][8]) {
  machine.statistics.products += 16 * 8 * depth;
  ++machine.statistics.warp_operations;
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    const unsigned group = lane / 4, member = lane % 4;
    float* d = static_cast<MmaArgument*>(arguments[lane])->d;
    for (unsigned r = 0; r < 4; ++r) {
      const unsigned row = group + r / 2 * 8, column = member * 2 + r % 2;
      for (unsigned k = 0; k < depth; ++k) d[r] += a[row][k] * b[k][column];
    }
  }
}

void multiply_bf16(void** arguments, uint32_t) {
  float a[16][16], b[16][8];
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    const unsigned group = lane / 4, member = lane % 4;
    const auto& argument = *static_cast<MmaArgument*>(arguments[lane]);
    for (unsigned r = 0; r < 4; ++r) {
      const unsigned row = group + r % 2 * 8, column = member * 2 + r / 2 * 8;
      a[row][column] = low_bf16(argument.a[r]);
      a[row][column + 1] = high_bf16(argument.a[r]);
    }
    for (unsigned r = 0; r < 2; ++r) {
      b[member * 2 + r * 8][group] = low_bf16(argument.b[r]);
      b[member * 2 + r * 8 + 1][group] = high_bf16(argument.b[r]);
    }
  }
  multiply<16>(arguments, a, b);
}

void multiply_tf32(void** arguments, uint32_t) {
  float a[16][8], b[8][8];
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    const unsigned group = lane / 4, member = lane % 4;
    const auto& argument = *static_cast<MmaArgument*>(arguments[lane]);
    for (unsigned r = 0; r < 4; ++r) a[group + r % 2 * 8][member + r / 2 * 4] = tf32(argument.a[r]);
    for (unsigned r = 0; r < 2; ++r) b[member + r * 4][group] = tf32(argument.b[r]);
  }
  multiply<8>(arguments, a, b);
}

struct LoadArgument {
  const uint16_t* row;
  uint32_t* fragments;
  int count;
  bool transposed;
};

// Lanes 8i to 8i + 7 point at the rows of 8x8 matrix i.
void gather_fragments(void** arguments, uint32_t) {
  const auto element = [&](int matrix, unsigned row, unsigned column) -> uint32_t {
    return static_cast<LoadArgument*>(arguments[static_cast<unsigned>(matrix) * 8 + row])
        ->row[column];
  };
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    const unsigned group = lane / 4, member = lane % 4;
    auto& argument = *static_cast<LoadArgument*>(arguments[lane]);
    for (int m = 0; m < argument.count; ++m) {
      const unsigned i = group, j = member * 2;
      argument.fragments[m] = argument.transposed ? element(m, j, i) | element(m, j + 1, i) << 16
                                                  : element(m, i, j) | element(m, i, j + 1) << 16;
    }
  }
}

}  // namespace

void mma_bf16_16x8x16(float* d, const uint32_t* a, const uint32_t* b, Location at) {
  const Inside inside(at);
  MmaArgument argument{a, b, d};
  rendezvous(~0u, multiply_bf16, &argument, "mma.m16n8k16.bf16", at);
}

void mma_tf32_16x8x8(float* d, const uint32_t* a, const uint32_t* b, Location at) {
  const Inside inside(at);
  MmaArgument argument{a, b, d};
  rendezvous(~0u, multiply_tf32, &argument, "mma.m16n8k8.tf32", at);
}

void load_matrix(uint32_t* fragments, int count, bool transposed, const void* row, Location at) {
  const Inside inside(at);
  if (machine.current->lane < static_cast<unsigned>(count) * 8) {
    if (!is_shared(row))
      fail_at("ldmatrix: the address of the row is not in shared memory", text_of(at));
    if (reinterpret_cast<uintptr_t>(row) % 16)
      fail_at("ldmatrix: the address of the row is no multiple of 16 bytes", text_of(at));
    if (checker) checker->access(row, 16, Access::read, at);
  }
  LoadArgument argument{static_cast<const uint16_t*>(row), fragments, count, transposed};
  rendezvous(~0u, gather_fragments, &argument, "ldmatrix", at);
}

}  // namespace passband::emulator
