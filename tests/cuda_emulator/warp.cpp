// Warp operations: every one is a meeting of the lanes in its mask, at which one function sees all
// their arguments.
#include <bit>

#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

namespace {

template <class F> void for_each_lane(uint32_t mask, F&& f) {
  for (; mask; mask &= mask - 1) f(static_cast<unsigned>(std::countr_zero(mask)));
}

struct ShuffleArgument {
  uint64_t bits;
  int source;  // lane
};

// The lane that `lane` reads from; its own where the source would leave the segment of `width`
// lanes (PTX ISA, shfl).
int source_lane(Shuffle kind, int lane, int operand, int width) {
  const int first = lane & ~(width - 1), last = first + width - 1;
  int source = lane;
  switch (kind) {
    case Shuffle::index: return first + (operand & (width - 1));
    case Shuffle::exclusive_or: source = lane ^ operand; return source > last ? lane : source;
    case Shuffle::up: source = lane - operand; break;
    case Shuffle::down: source = lane + operand; break;
  }
  return source < first || source > last ? lane : source;
}

void exchange(void** arguments, uint32_t mask) {
  ++machine.statistics.warp_operations;
  uint64_t received[kWarp];
  for_each_lane(mask, [&](unsigned lane) {
    const int source = static_cast<ShuffleArgument*>(arguments[lane])->source;
    // what a lane outside the mask would give is undefined
    const bool takes_part = mask >> source & 1u;
    received[lane] =
        takes_part ? static_cast<ShuffleArgument*>(arguments[source])->bits : ~uint64_t{0};
  });
  for_each_lane(mask, [&](unsigned lane) {
    static_cast<ShuffleArgument*>(arguments[lane])->bits = received[lane];
  });
}

const char* name_of(Shuffle kind) {
  switch (kind) {
    case Shuffle::index: return "__shfl_sync";
    case Shuffle::exclusive_or: return "__shfl_xor_sync";
    case Shuffle::up: return "__shfl_up_sync";
    case Shuffle::down: return "__shfl_down_sync";
  }
  return "";
}

void vote(void** arguments, uint32_t mask) {
  ++machine.statistics.warp_operations;
  uint32_t votes = 0;
  for_each_lane(mask,
                [&](unsigned lane) { votes |= *static_cast<uint32_t*>(arguments[lane]) << lane; });
  for_each_lane(mask, [&](unsigned lane) { *static_cast<uint32_t*>(arguments[lane]) = votes; });
}

struct MatchArgument {
  uint64_t bits;
  uint32_t equal;
};

void find_equal(void** arguments, uint32_t mask) {
  ++machine.statistics.warp_operations;
  for_each_lane(mask, [&](unsigned lane) {
    auto& mine = *static_cast<MatchArgument*>(arguments[lane]);
    mine.equal = 0;
    for_each_lane(mask, [&](unsigned other) {
      if (static_cast<MatchArgument*>(arguments[other])->bits == mine.bits)
        mine.equal |= 1u << other;
    });
  });
}

uint32_t reduce_pair(Reduce kind, uint32_t a, uint32_t b) {
  const auto x = static_cast<int32_t>(a), y = static_cast<int32_t>(b);
  switch (kind) {
    case Reduce::add: return a + b;
    case Reduce::min_signed: return x < y ? a : b;
    case Reduce::max_signed: return x > y ? a : b;
    case Reduce::min_unsigned: return a < b ? a : b;
    case Reduce::max_unsigned: return a > b ? a : b;
    case Reduce::bit_and: return a & b;
    case Reduce::bit_or: return a | b;
    case Reduce::bit_xor: return a ^ b;
  }
  return 0;
}

struct ReduceArgument {
  Reduce kind;
  uint32_t bits;
};

void reduce_all(void** arguments, uint32_t mask) {
  ++machine.statistics.warp_operations;
  const auto first = static_cast<unsigned>(std::countr_zero(mask));
  ReduceArgument total = *static_cast<ReduceArgument*>(arguments[first]);
  for_each_lane(mask & (mask - 1), [&](unsigned lane) {
    total.bits =
        reduce_pair(total.kind, total.bits, static_cast<ReduceArgument*>(arguments[lane])->bits);
  });
  for_each_lane(mask, [&](unsigned lane) {
    static_cast<ReduceArgument*>(arguments[lane])->bits = total.bits;
  });
}

}  // namespace

uint64_t shuffle(Shuffle kind, uint32_t mask, uint64_t bits, int operand, int width, Location at) {
  const Inside inside(at);
  if (width <= 0 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width)))
    fail_at(concat_text(name_of(kind), ": width ", width, " is not a power of two up to 32"),
            text_of(at));
  ShuffleArgument argument{
      bits, source_lane(kind, static_cast<int>(machine.current->lane), operand, width)};
  rendezvous(mask, exchange, &argument, name_of(kind), at);
  return argument.bits;
}

uint32_t ballot(uint32_t mask, bool predicate, const char* name, Location at) {
  const Inside inside(at);
  uint32_t votes = predicate;
  rendezvous(mask, vote, &votes, name, at);
  return votes;
}

uint32_t match(uint32_t mask, uint64_t bits, Location at) {
  const Inside inside(at);
  MatchArgument argument{bits, 0};
  rendezvous(mask, find_equal, &argument, "__match_any_sync", at);
  return argument.equal;
}

uint32_t reduce_warp(Reduce kind, uint32_t mask, uint32_t bits, Location at) {
  const Inside inside(at);
  ReduceArgument argument{kind, bits};
  rendezvous(mask, reduce_all, &argument, "__reduce_sync", at);
  return argument.bits;
}

}  // namespace passband::emulator
