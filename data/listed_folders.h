// Sets of photographs whose labels and splits stand in annotation files of their own, as published.
#pragma once
#include <filesystem>

#include "data/dataset.h"
#include "data/folder_layout.h"

namespace passband {

// Oxford-IIIT Pets (Parkhi et al. 2012): images/NAME.jpg; annotations/trainval.txt and test.txt
// hold lines "NAME CLASS SPECIES BREED" with classes 1 to 37, named after their pictures.
FolderLayout find_pets(const std::filesystem::path& root);

// Flowers-102 (Nilsback and Zisserman 2008): jpg/image_00001.jpg ...; imagelabels.mat holds
// `labels` 1 to 102 by picture, setid.mat the pictures `trnid`, `valid` and `tstid` of each split.
FolderLayout find_flowers(const std::filesystem::path& root);

// Food-101 (Bossard et al. 2014): images/CLASS/NUMBER.jpg; meta/train.txt and test.txt hold lines
// "CLASS/NUMBER".
FolderLayout find_food(const std::filesystem::path& root);

// SVHN's cropped digits (Netzer et al. 2011): train_32x32.mat and test_32x32.mat hold `X` (32, 32,
// 3, N) bytes and `y` (N) digits, of which 0 is written as 10.
DataSplits read_svhn(const std::filesystem::path& folder);

// All throw DataError naming file and line, or array, that is wrong or missing. That a picture
// which is listed is there is found by whoever reads it.

}  // namespace passband
