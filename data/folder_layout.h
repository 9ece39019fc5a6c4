// Where the pictures of a folder lie: its splits, classes and files. No picture is decoded.
#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/left_out.h"

namespace passband {

constexpr const char* kFolderIndex = ".passband-folder-index";  // in the root (folder_index.h)

struct LabelledFile {
  std::string path;  // of a million files, std::filesystem's would take four times as much
  int32_t label = 0;
};

struct FolderSplit {
  std::string name;                 // of its folder, such as "valid"; "all" without such a folder
  std::vector<LabelledFile> files;  // by class, then in byte order of their paths
};

inline void sort_by_class(FolderSplit& split) {
  std::ranges::sort(split.files, {}, [](const LabelledFile& f) {
    return std::pair(f.label, std::string_view(f.path));
  });
}

struct FolderLayout {
  std::vector<std::string> classes;  // names of the class folders, as UTF-8, in byte order
  FolderSplit train, val, test;      // without files where there is no such folder
  LeftOut left_out;
  // What was looked through: folders below the root, and lists. As long as none of them changes,
  // the same files lie in the same places.
  std::vector<std::filesystem::path> watched = {};
};

// Finds the pictures of
//   ROOT/train/CLASS/PICTURE with ROOT/val (or valid, validation), ROOT/test, or both;
//   ROOT/val or ROOT/test alone, or ROOT/CLASS/PICTURE (then `train` holds all of it);
//   Tiny ImageNet, whose val/ has one folder of pictures and val_annotations.txt.
// Pictures may lie in folders within a class's. Names of splits in any letter case. A file is a
// picture when its name says so (.jpg, .png, .webp ...) or its first bytes do. Hidden names and
// what systems leave behind (__MACOSX, @eaDir, lost+found) are passed over. A val/ or test/ may
// lack a class; a test/ without class folders has no labels and is left out.
// Throws DataError for another layout, a class without pictures, a class that train/ lacks.
FolderLayout find_layout(const std::filesystem::path& root);

// All pictures in and below `root`, with label -1, as `test`. Throws DataError when there is none.
FolderLayout find_pictures(const std::filesystem::path& root);

// True when `root` has train/ and one of val/, valid/, validation/, test/.
bool is_image_folder(const std::filesystem::path& root);

}  // namespace passband
