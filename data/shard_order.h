// The order in which an epoch shows tar shards that are read one after the other, through a buffer
// in which their pictures are mixed: for disks and networks that are slow to go to any place.
#pragma once
#include <cstdint>
#include <vector>

#include "data/picture_files.h"

namespace passband {

// What the order depends on beside seed and epoch; how many processes share it does not count.
struct ShuffleBuffer {
  int64_t pictures = 1000;  // that are held to draw the next one from, by all processes together
  int64_t batch_rows = 1;   // of a batch of all processes
  int64_t repeats = 1;      // of a picture, in a row
};

struct ShardOrder {
  std::vector<int64_t> shown;  // all pictures, each once
  // Of each lane, its pictures in the order in which they enter the buffer.
  std::vector<std::vector<int64_t>> read;
};

// The most pictures that a lane holds to draw from.
int64_t lane_buffer(const ShuffleBuffer& how, int64_t lanes);
// Lanes that read at the same time, each its own shards: the most of 1, 2, 4 .. 64 that are no more
// than the shards, the pairs of rows of a batch, and the buffer's pictures / 64.
int64_t count_lanes(const ShuffleBuffer& how, int64_t shards);

// The order of an epoch, drawn by (seed, epoch) alone. The shards come in a drawn order, each read
// from its beginning to its end, and are dealt to the lanes in equal parts (one may be cut between
// two lanes). Each lane shows one of those that its buffer holds, drawn, and reads the next in its
// place. The rows of a batch are dealt to the lanes as they are to processes
// (tensor/core/batch_share.h), so that of a power of two of these each has lanes, and shards, of
// its own. `files` are members of shards, in stored order.
ShardOrder order_by_shards(const PictureFiles& files, const ShuffleBuffer& how, uint64_t seed,
                           int64_t epoch);

}  // namespace passband
