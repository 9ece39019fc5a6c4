// The file formats of load_dataset: each reader is given the folder that holds its files.
#pragma once
#include <filesystem>
#include <string>
#include <utility>

#include "data/dataset.h"

namespace passband {

// Official binary files (records of label bytes and three 32 x 32 planes). Every file must have its
// exact size and labels in range. Throws DataError naming file, expected and actual.
// CIFAR-10: data_batch_{1..5}.bin, test_batch.bin.
// CIFAR-100: train.bin, test.bin, fine_label_names.txt; the label is the fine one.
DataSplits read_cifar10(const std::filesystem::path& folder);
DataSplits read_cifar100(const std::filesystem::path& folder);

// IDX files, plain or gzip: {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]. 28 x 28 grey becomes
// 32 x 32 RGB by a black border of two pixels.
DataSplits read_fashion_mnist(const std::filesystem::path& folder);

// root/train/<class>/<picture> and root/val/... (or validation/, test/). Classes are the folder
// names of train/ in byte order; the other split may lack a class but not add one. Pictures: .jpg
// .jpeg .png in any case; other known picture types are refused, other files are ignored. Each is
// scaled and cut to a square of `side` pixels. The picture's own orientation tag (EXIF) is not
// applied. The first unreadable picture is a DataError.
DataSplits read_image_folder(const std::filesystem::path& root, int64_t side);

// Class names and picture counts of such a folder, from file names alone.
struct FolderSummary {
  std::vector<std::string> classes;
  int64_t train_count = 0, test_count = 0;
};
FolderSummary summarise_image_folder(const std::filesystem::path& root);

// All pictures stay in memory: throws OutOfMemory when `pictures` squares of `side` pixels cannot
// fit this machine.
void check_memory(const std::string& name, int64_t pictures, int64_t side);

// True when `root` has train/ and one of val/, validation/, test/.
bool is_image_folder(const std::filesystem::path& root);

}  // namespace passband
