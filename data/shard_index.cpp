#include "data/shard_index.h"

#include <mutex>
#include <tuple>

#include "data/index_file.h"
#include "tensor/core/checksum.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/parallel.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kIndexMagic = "passband shards 2\n";

void write_contents(IndexWriter& out, const ShardContents& shard) {
  out.number(shard.bytes), out.number(shard.modified), out.number(shard.read_at);
  out.number(static_cast<uint8_t>(shard.check));
  out.number<uint64_t>(shard.pictures.size());
  for (const ShardPicture& one : shard.pictures) {
    out.number(one.offset), out.number(one.bytes), out.number(one.label);
    out.number(one.named), out.number(one.content), out.number(one.lead);
  }
  out.number<uint64_t>(shard.faults.size());
  for (const ShardFault& one : shard.faults)
    out.number(one.offset), out.text(one.member), out.text(one.reason);
  out.number<uint64_t>(shard.rest.size());
  for (const ShardRest& one : shard.rest)
    out.text(one.reason), out.text(one.first), out.number(one.count);
}

ShardContents parse_contents(IndexReader& in) {
  ShardContents shard;
  shard.bytes = in.number<int64_t>(), shard.modified = in.number<int64_t>();
  shard.read_at = in.number<int64_t>();
  shard.check = static_cast<ShardCheck>(in.number<uint8_t>());
  constexpr size_t kPictureBytes = 3 * sizeof(int64_t) + 3 * sizeof(int32_t);
  shard.pictures.resize(in.count(kPictureBytes));
  for (ShardPicture& one : shard.pictures) {
    one.offset = in.number<int64_t>(), one.bytes = in.number<int32_t>();
    one.label = in.number<int32_t>(), one.named = in.number<uint64_t>();
    one.content = in.number<uint64_t>(), one.lead = in.number<int32_t>();
  }
  shard.faults.resize(in.count(3 * sizeof(uint64_t)));
  for (ShardFault& one : shard.faults)
    one.offset = in.number<int64_t>(), one.member = in.text(), one.reason = in.text();
  shard.rest.resize(in.count(3 * sizeof(uint64_t)));
  for (ShardRest& one : shard.rest)
    one.reason = in.text(), one.first = in.text(), one.count = in.number<int64_t>();
  return shard;
}

uint64_t checksum_of_classes(const std::vector<std::string>& classes) {
  return checksum_of(join(classes, "\n"));
}

// The index that is there, and whether a damaged one was.
std::pair<ShardIndex, std::string> load_index(const std::vector<fs::path>& places,
                                              uint64_t classes) {
  std::string damaged;
  for (const fs::path& place : places) {
    std::error_code code;
    if (!fs::exists(place, code)) continue;
    try {
      if (auto index = parse_shard_index(read_file(place.string()), classes))
        return {std::move(*index), ""};
      damaged = concat_text(place.string(), " was damaged and is made anew");
    } catch (const DataError&) {  // it may not be read: as if it were not there
    }
  }
  return {ShardIndex{}, damaged};
}

void add_remark(std::string& remarks, const std::string& remark) {
  if (!remark.empty()) remarks += (remarks.empty() ? "" : "; ") + remark;
}

// What this process has read and no index holds, and what it has to say of the index: a set is
// described before it is loaded.
struct FolderMemory {
  ShardIndex read;
  std::string remark;
};

class FolderIndex {
 public:
  FolderIndex(const fs::path& folder, const std::vector<std::string>& classes, FolderMemory& memory)
      : folder_(folder),
        classes_(classes),
        sum_(checksum_of_classes(classes)),
        places_(places_of_index(folder, kShardIndex)),
        memory_(memory) {
    std::tie(index_, memory.remark) = load(memory.remark);
  }

  // Those of these shards of the folder that nobody has read yet are read; then all are known.
  void read(const std::vector<std::string>& names, ShardCheck check) {
    std::vector<std::string> missing;
    for (const std::string& name : names)
      if (!find(name, check)) missing.push_back(name);
    if (missing.empty()) return;
    std::vector<ShardContents> contents(missing.size());
    for_each_index(std::ssize(missing), [&](int64_t i) {
      contents[static_cast<size_t>(i)] =
          read_shard(folder_ / missing[static_cast<size_t>(i)], check, classes_);
    });
    bool news = false;
    for (size_t i = 0; i < missing.size(); ++i) {
      const bool lasts = tells_changes(contents[i]);
      (lasts ? index_ : memory_.read)[missing[i]] = std::move(contents[i]);
      news |= lasts;
    }
    if (news) keep();
  }

  // Of the file as it is now; null when nobody has read it.
  const ShardContents* find(const std::string& name, ShardCheck check) const {
    for (const ShardIndex* index : {&index_, static_cast<const ShardIndex*>(&memory_.read)}) {
      const auto found = index->find(name);
      if (found != index->end() && still_valid(found->second, folder_ / name, check))
        return &found->second;
    }
    return nullptr;
  }

 private:
  std::pair<ShardIndex, std::string> load(const std::string& remark) const {
    auto [index, damaged] = load_index(places_, sum_);
    return {std::move(index), damaged.empty() ? remark : damaged};
  }

  void keep() {
    std::erase_if(index_, [&](const auto& entry) {
      return !still_valid(entry.second, folder_ / entry.first, ShardCheck::size);
    });
    const auto [kept, remark] = keep_index(places_, shard_index_bytes(index_, sum_), "shards");
    add_remark(memory_.remark, remark);
    if (kept) return;
    for (const auto& [name, contents] : index_) memory_.read[name] = contents;
  }

  fs::path folder_;
  const std::vector<std::string>& classes_;
  uint64_t sum_;
  std::vector<fs::path> places_;
  FolderMemory& memory_;
  ShardIndex index_;
};

}  // namespace

std::string shard_index_bytes(const ShardIndex& index, uint64_t classes) {
  IndexWriter out;
  out.raw(kIndexMagic);
  out.number(classes);
  out.number<uint64_t>(index.size());
  for (const auto& [name, contents] : index) {
    out.text(name);
    write_contents(out, contents);
  }
  out.number(checksum_of(out.bytes()));
  return std::move(out.bytes());
}

std::optional<ShardIndex> parse_shard_index(std::string_view bytes, uint64_t classes) {
  constexpr size_t kSum = sizeof(uint64_t);
  if (!bytes.starts_with(kIndexMagic) || bytes.size() < kIndexMagic.size() + kSum)
    return std::nullopt;
  IndexReader sum(bytes.substr(bytes.size() - kSum));
  if (sum.number<uint64_t>() != checksum_of(bytes.substr(0, bytes.size() - kSum)))
    return std::nullopt;
  bytes.remove_suffix(kSum);
  IndexReader in(bytes.substr(kIndexMagic.size()));
  if (in.number<uint64_t>() != classes) return ShardIndex{};
  ShardIndex index;
  for (uint64_t left = in.count(kSum); left > 0 && in.good(); --left) {
    const std::string name = in.text();
    index[name] = parse_contents(in);
  }
  if (!in.good() || !in.at_end()) return std::nullopt;
  return index;
}

ReadShards contents_of_shards(const std::vector<fs::path>& shards, ShardCheck check,
                              const std::vector<std::string>& classes) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, uint64_t>, FolderMemory> memories;
  const std::lock_guard lock(mutex);
  ReadShards read{std::vector<ShardContents>(shards.size()), ""};
  std::map<fs::path, std::vector<size_t>> folders;
  for (size_t i = 0; i < shards.size(); ++i) {
    const fs::path parent = shards[i].parent_path();
    folders[parent.empty() ? "." : parent].push_back(i);
  }
  for (const auto& [folder, members] : folders) {
    FolderMemory& memory = memories[{fs::absolute(folder).string(), checksum_of_classes(classes)}];
    std::vector<std::string> names;
    for (const size_t i : members) names.push_back(shards[i].filename().string());
    FolderIndex index(folder, classes, memory);
    index.read(names, check);
    for (const size_t i : members)
      if (const ShardContents* const known = index.find(shards[i].filename().string(), check))
        read.contents[i] = *known;
      else throw DataError(concat_text(shards[i].string(), ": changed while it was read"));
    add_remark(read.remark, memory.remark);
  }
  return read;
}

}  // namespace passband
