// The file formats of load_dataset: each reader is given the folder that holds its files.
#pragma once
#include <filesystem>
#include <string>
#include <utility>

#include "data/dataset.h"
#include "data/folder_layout.h"

namespace passband {

// Official binary files (records of label bytes and three 32 x 32 planes). Every file must have its
// exact size and labels in range. Throws DataError naming file, expected and actual.
// CIFAR-10: data_batch_{1..5}.bin, test_batch.bin.
// CIFAR-100: train.bin, test.bin, fine_label_names.txt; the label is the fine one.
DataSplits read_cifar10(const std::filesystem::path& folder);
DataSplits read_cifar100(const std::filesystem::path& folder);

// Official Python version: pickles, of which nothing is executed.
// CIFAR-10: data_batch_{1..5}, test_batch, batches.meta. CIFAR-100: train, test, meta.
DataSplits read_cifar10_python(const std::filesystem::path& folder);
DataSplits read_cifar100_python(const std::filesystem::path& folder);

// IDX files, plain or gzip: {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]. 28 x 28 grey becomes
// 32 x 32 RGB by a black border of two pixels.
DataSplits read_fashion_mnist(const std::filesystem::path& folder);

// Bytes of a folder's pictures up to which all of it is read before anything begins.
constexpr int64_t kCheckedBytes = int64_t{4} << 30;

// The pictures of a folder, see find_layout, as files: when asked for, each is scaled and cut to a
// square of `side` pixels. Its own orientation tag (EXIF) is not applied. A val/ is `test` where
// there is no test/. Up to kCheckedBytes every file is read and its structure checked, in a larger
// folder only that none is empty; with skip_bad_pictures each picture is decoded once. Those found
// unreadable are one DataError that names them all, or left out and counted.
DataSplits read_image_folder(const std::filesystem::path& root, int64_t side,
                             bool skip_bad_pictures = false);

// The same of pictures that were found already.
DataSplits read_layout(FolderLayout layout, const std::filesystem::path& root, int64_t side,
                       bool skip_bad_pictures = false);

// All pictures in and below a folder, without labels, checked likewise: `test` holds them.
DataSplits read_unlabelled(const std::filesystem::path& root, int64_t side,
                           bool skip_bad_pictures = false);

// Class names and picture counts of such a folder, from file names and first bytes.
struct FolderSummary {
  std::vector<std::string> classes;
  int64_t train_count = 0, test_count = 0;
};
FolderSummary summarise_image_folder(const std::filesystem::path& root);

// Throws OutOfMemory when `pictures` squares of `side` pixels in memory cannot fit this machine.
void check_memory(const std::string& name, int64_t pictures, int64_t side);

}  // namespace passband
