// Pictures that stay where they are, as files or as members of tar shards: where the bytes of each
// lie, in little memory.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/image.h"

namespace passband {

class PictureFiles {
 public:
  // A picture that is a file. `checksum`: what tells it from others (data/fingerprint.h).
  void add_file(std::string_view path, uint64_t checksum);
  // A picture that is `bytes` bytes of a shard from `offset` on. Those of one shard follow each
  // other. `lead`: bytes of the headers before it, where its name stands.
  void add_member(const std::string& shard, int64_t offset, int64_t bytes, uint64_t checksum,
                  int32_t lead = 0);

  int64_t size() const { return std::ssize(places_); }
  bool empty() const { return places_.empty(); }
  // Read and its structure checked. Throws UnreadablePicture and DataError, see EncodedPicture.
  // `content`: its bytes, where they have been read; they are taken.
  EncodedPicture open(int64_t index, std::vector<uint8_t>* content = nullptr) const;
  // The path of the file; of a member "SHARD at offset N".
  std::string name(int64_t index) const;
  // The last part of its path; of a member its name in the shard, which is read there (name() where
  // that cannot be).
  std::string short_name(int64_t index) const;
  uint64_t checksum(int64_t index) const { return places_[static_cast<size_t>(index)].checksum; }
  // Which shard holds it, counted from 0; of files of their own -1.
  int64_t shard(int64_t index) const;
  // Of a member: the path of its shard, and where it begins there.
  const std::string& shard_path(int64_t index) const;
  int64_t offset(int64_t index) const { return places_[static_cast<size_t>(index)].begin; }
  // How many bytes it has as a file; 0 where it is gone.
  int64_t bytes(int64_t index) const;
  // Those of these indices, which share their names with this.
  PictureFiles picked(std::span<const int64_t> indices) const;

 private:
  struct Place {
    uint64_t checksum = 0;
    int64_t begin = 0;   // of its content in the shard, or of its path in `text`
    int32_t bytes = -1;  // of a member
    int32_t shard = -1;
    int32_t lead = 0;  // before `begin`
  };
  struct Names {
    std::string text;  // paths, each ended by a NUL
    std::vector<std::string> shards;
  };
  Names& own_names();
  std::string path(const Place& place) const;

  std::vector<Place> places_;
  std::shared_ptr<Names> names_ = {};
};

}  // namespace passband
