// The kind of a file, told by its first bytes: for messages about files that are something else.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace passband {

enum class FileKind : uint8_t {
  unknown,
  empty,
  png,
  jpeg,
  webp,
  gif,
  bmp,
  tiff,
  heif,  // HEIC and AVIF
  jpeg2000,
  git_lfs,  // a pointer to a file that git-lfs has not fetched
  html,
  json,
  zip,
  pytorch,  // a zip file of PyTorch's, or a pickle
  gzip,
  tar,
  hdf5,
  npy,
  gguf,
};

// How much of a file file_kind wants to see.
constexpr size_t kFileHead = 512;

// What the beginning of a file says of its kind, whatever its name says.
FileKind file_kind(std::string_view head);

// With its article: "a WebP picture", "a web page"; "of an unknown kind".
std::string_view words(FileKind kind);

// The first bytes of a file, at most `limit`; nothing when it cannot be read.
std::string file_head(const std::string& path, size_t limit = kFileHead);

}  // namespace passband
