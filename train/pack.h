// `train --pack FOLDER OUT`: tar shards from a folder of pictures.
#pragma once
#include "train/command_line.h"

namespace passband {

// Packs as the options say, with progress on stderr, and says what was written. The exit code:
// 128 + the signal that stopped it.
int pack(const Options& options);

}  // namespace passband
