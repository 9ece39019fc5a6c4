#include "data/picture_files.h"

#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "data/tar.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;

// What is added to a selection does not grow the names of others.
PictureFiles::Names& PictureFiles::own_names() {
  if (!names_) names_ = std::make_shared<Names>();
  else if (names_.use_count() > 1) names_ = std::make_shared<Names>(*names_);
  return *names_;
}

void PictureFiles::add_file(std::string_view path, uint64_t checksum) {
  std::string& text = own_names().text;
  places_.push_back({.checksum = checksum, .begin = std::ssize(text)});
  text.append(path);
  text.push_back('\0');
}

void PictureFiles::add_member(const std::string& shard, int64_t offset, int64_t bytes,
                              uint64_t checksum, int32_t lead) {
  CHECK(bytes >= 0 && bytes <= kMaxImageFileBytes, shard, ": a picture of ", bytes, " bytes");
  std::vector<std::string>& shards = own_names().shards;
  if (shards.empty() || shards.back() != shard) shards.push_back(shard);
  places_.push_back({checksum, offset, static_cast<int32_t>(bytes),
                     static_cast<int32_t>(std::ssize(shards) - 1), lead});
}

std::string PictureFiles::path(const Place& place) const {
  if (place.shard >= 0) return names_->shards[static_cast<size_t>(place.shard)];
  return names_->text.c_str() + place.begin;
}

const std::string& PictureFiles::shard_path(int64_t index) const {
  return names_->shards[static_cast<size_t>(places_[static_cast<size_t>(index)].shard)];
}

EncodedPicture PictureFiles::open(int64_t index, std::vector<uint8_t>* content) const {
  const Place& place = places_[static_cast<size_t>(index)];
  if (content) return EncodedPicture(std::move(*content), name(index));
  if (place.shard < 0) return EncodedPicture(fs::path(path(place)));
  return EncodedPicture(read_file_part(path(place), place.begin, place.bytes), name(index));
}

std::string PictureFiles::name(int64_t index) const {
  const Place& place = places_[static_cast<size_t>(index)];
  return place.shard < 0 ? path(place) : concat_text(path(place), " at offset ", place.begin);
}

std::string PictureFiles::short_name(int64_t index) const {
  const Place& place = places_[static_cast<size_t>(index)];
  if (place.shard < 0) return fs::path(path(place)).filename().string();
  try {
    const auto member = TarReader(path(place), place.begin - place.lead).next();
    if (member && member->offset == place.begin) return one_line(member->name);
  } catch (const DataError&) {  // it is gone, or another file
  }
  return name(index);
}

int64_t PictureFiles::bytes(int64_t index) const {
  const Place& place = places_[static_cast<size_t>(index)];
  if (place.shard >= 0) return place.bytes;
  std::error_code code;
  const uintmax_t bytes = fs::file_size(path(place), code);
  return code ? 0 : static_cast<int64_t>(bytes);
}

int64_t PictureFiles::shard(int64_t index) const {
  return places_[static_cast<size_t>(index)].shard;
}

PictureFiles PictureFiles::picked(std::span<const int64_t> indices) const {
  PictureFiles some;
  some.names_ = names_;
  some.places_.reserve(indices.size());
  for (const int64_t i : indices) some.places_.push_back(places_[static_cast<size_t>(i)]);
  return some;
}

}  // namespace passband
