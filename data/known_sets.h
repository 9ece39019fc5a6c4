// The table of known data sets: what is known about each without opening a file, and how its files
// are told and read.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/folder_layout.h"
#include "data/published_sums.h"

namespace passband {

constexpr std::array<float, 3> kImageNetMean = {0.485f, 0.456f, 0.406f},
                               kImageNetStd = {0.229f, 0.224f, 0.225f};

// The files of a set: how the name of their folder begins, those of which any one makes a folder a
// candidate, their reader, and their sums where these are published.
struct SetFiles {
  std::string folder;
  std::vector<std::string> markers = {};
  std::function<DataSplits(const std::filesystem::path&)> read = {};
  std::vector<PublishedSum> sums = {};
};

// A known set: its description, its files, the same in their Python version, how the names of its
// archives begin, how to get it. Of pictures that are files of their own: where they lie if not in
// class folders, whether all have the set's size, what is left to do once they are found.
struct KnownSet {
  DatasetInfo info;
  SetFiles files = {};
  SetFiles python = {};
  std::string archive = {};
  std::function<FolderLayout(const std::filesystem::path&)> layout = find_layout;
  bool one_size = false;
  std::function<void(Dataset&)> finish = {};
  std::string remedy = {};
};

const std::vector<KnownSet>& known_sets();
// Null when no set has this name.
const KnownSet* find_known(const std::string& name);

}  // namespace passband
