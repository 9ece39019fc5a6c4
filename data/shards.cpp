#include "data/shards.h"

#include <algorithm>
#include <array>

#include "data/bad_pictures.h"
#include "data/known_sets.h"
#include "data/left_out.h"
#include "data/shard_index.h"
#include "data/shard_names.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"
#include "tensor/core/utf8.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

struct OpenShards {
  ShardNames names;
  ShardCheck check = ShardCheck::size;
  std::vector<std::string> classes;
  // Of the shards of train, val and test, one after the other.
  std::vector<fs::path> shards;
  ReadShards read;
};

std::vector<std::string> listed_classes(const fs::path& folder) {
  std::vector<std::string> classes;
  for (const char* name : {"classes.txt", "classnames.txt"}) {
    std::error_code code;
    if (!fs::exists(folder / name, code)) continue;
    for (std::string& line : split_text(read_file((folder / name).string()), '\n')) {
      if (line.ends_with('\r')) line.pop_back();
      classes.push_back(to_utf8(line));
    }
    if (classes.size() < 2)
      throw DataError(concat_text((folder / name).string(), ": expected a class a line, found ",
                                  counted(std::ssize(classes), "line")));
    return classes;
  }
  return classes;
}

ShardCheck check_of_shards(const std::vector<fs::path>& shards, bool skip_bad_pictures) {
  if (skip_bad_pictures) return ShardCheck::data;
  int64_t total = 0;
  for (const fs::path& shard : shards) {
    std::error_code code;
    const uintmax_t bytes = fs::file_size(shard, code);
    if (!code) total += static_cast<int64_t>(bytes);
  }
  return total <= kCheckedBytes ? ShardCheck::structure : ShardCheck::size;
}

void number_classes(OpenShards& open) {
  if (!open.classes.empty()) return;
  int32_t largest = 0;
  for (const ShardContents& contents : open.read.contents)
    for (const ShardPicture& picture : contents.pictures)
      largest = std::max(largest, picture.label);
  for (int32_t label = 0; label <= std::max(largest, 1); ++label)
    open.classes.push_back(std::to_string(label));
}

OpenShards open_shards(const std::string& name, bool skip_bad_pictures) {
  OpenShards open{.names = find_shards(name)};
  for (const ShardSplit* split : {&open.names.train, &open.names.val, &open.names.test})
    open.shards.insert(open.shards.end(), split->shards.begin(), split->shards.end());
  open.check = check_of_shards(open.shards, skip_bad_pictures);
  open.classes = listed_classes(open.names.folder);
  open.read = contents_of_shards(open.shards, open.check, open.classes);
  number_classes(open);
  return open;
}

std::string place_of_fault(const fs::path& shard, const ShardFault& fault) {
  return concat_text(shard.string(), " at offset ", fault.offset,
                     fault.member.empty() ? "" : " (" + fault.member + ")");
}

void report_faults(const OpenShards& open, bool skip_bad_pictures, LeftOut& left_out) {
  std::vector<BadPicture> bad;
  for (size_t i = 0; i < open.shards.size(); ++i) {
    const fs::path& shard = open.shards[i];
    for (const ShardFault& fault : open.read.contents[i].faults)
      bad.push_back({place_of_fault(shard, fault), fault.reason});
    for (const ShardRest& rest : open.read.contents[i].rest)
      left_out.add(rest.reason, concat_text(shard.filename().string(), ": ", rest.first),
                   rest.count);
  }
  if (!bad.empty() && !skip_bad_pictures) refuse_bad_pictures(bad, "unreadable sample");
  for (const BadPicture& one : bad)
    left_out.add("unreadable", fs::path(one.name).lexically_relative(open.names.folder));
}

// The pictures of a split, whose first shard is number `first` of all.
Dataset split_of(const OpenShards& open, const ShardSplit& split, size_t first) {
  Dataset data{.split = split.name, .classes = open.classes};
  for (size_t i = first; i < first + split.shards.size(); ++i)
    for (const ShardPicture& picture : open.read.contents[i].pictures) {
      data.files.add_member(open.shards[i].string(), picture.offset, picture.bytes,
                            open.check == ShardCheck::size ? picture.named : picture.content,
                            picture.lead);
      data.labels.push_back(picture.label);
      ++data.count;
    }
  return data;
}

int64_t pictures_of(const OpenShards& open, size_t first, size_t count) {
  int64_t pictures = 0;
  for (size_t i = first; i < first + count; ++i)
    pictures += std::ssize(open.read.contents[i].pictures);
  return pictures;
}

}  // namespace

DataSplits read_shards(const std::string& name, int64_t side, bool skip_bad_pictures) {
  OpenShards open = open_shards(name, skip_bad_pictures);
  LeftOut left_out;
  report_faults(open, skip_bad_pictures, left_out);
  const size_t train = open.names.train.shards.size(), val = open.names.val.shards.size();
  DataSplits splits{.train = split_of(open, open.names.train, 0),
                    .test = split_of(open, open.names.test, train + val),
                    .val = split_of(open, open.names.val, train)};
  if (splits.test.count == 0) std::swap(splits.test, splits.val);
  if (splits.train.count == 0)
    throw DataError(concat_text(
        name,
        ": holds no KEY.jpg (or .jpeg, .png) with KEY.cls or KEY.json; an archive of class "
        "folders is to be unpacked (tar -xf), and the folder given"));
  for (Dataset* const data : {&splits.train, &splits.test, &splits.val}) {
    data->name = name;
    data->height = data->width = side;
    data->mean = kImageNetMean;
    data->std = kImageNetStd;
  }
  splits.left_out = left_out.text();
  splits.remark = open.read.remark;
  return splits;
}

FolderSummary summarise_shards(const std::string& name, bool skip_bad_pictures) {
  const OpenShards open = open_shards(name, skip_bad_pictures);
  const size_t train = open.names.train.shards.size(), val = open.names.val.shards.size();
  const int64_t tested = pictures_of(open, train + val, open.names.test.shards.size());
  return {.classes = open.classes,
          .train_count = pictures_of(open, 0, train),
          .test_count = tested > 0 ? tested : pictures_of(open, train, val)};
}

}  // namespace passband
