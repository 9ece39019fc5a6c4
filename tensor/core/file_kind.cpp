// Signatures of file formats (PNG 1.2, RFC 9649, Exif 2.3, POSIX pax and those their makers
// publish).
#include "tensor/core/file_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>

namespace passband {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view bytes;
  size_t at;
  FileKind kind;
};

constexpr std::array kSignatures = {
    Signature{"\x89PNG\r\n\x1a\n"sv, 0, FileKind::png},
    Signature{"\xff\xd8"sv, 0, FileKind::jpeg},
    Signature{"GIF87a"sv, 0, FileKind::gif},
    Signature{"GIF89a"sv, 0, FileKind::gif},
    Signature{"II*\0"sv, 0, FileKind::tiff},
    Signature{"MM\0*"sv, 0, FileKind::tiff},
    Signature{"ftyphei"sv, 4, FileKind::heif},
    Signature{"ftyphev"sv, 4, FileKind::heif},
    Signature{"ftypmif"sv, 4, FileKind::heif},
    Signature{"ftypavi"sv, 4, FileKind::heif},
    Signature{"\0\0\0\x0cjP  "sv, 0, FileKind::jpeg2000},
    Signature{"version https://git-lfs"sv, 0, FileKind::git_lfs},
    Signature{"PK\x03\x04"sv, 0, FileKind::zip},
    Signature{"\x1f\x8b"sv, 0, FileKind::gzip},
    Signature{"ustar"sv, 257, FileKind::tar},
    Signature{"\x89HDF\r\n\x1a\n"sv, 0, FileKind::hdf5},
    Signature{"\x93NUMPY"sv, 0, FileKind::npy},
    Signature{"GGUF"sv, 0, FileKind::gguf},
};

bool has(std::string_view head, std::string_view bytes, size_t at = 0) {
  return head.size() >= at && head.substr(at).starts_with(bytes);
}

std::string lower_text_start(std::string_view head) {
  if (has(head, "\xef\xbb\xbf")) head.remove_prefix(3);  // a byte-order mark
  head = head.substr(std::min(head.size(), head.find_first_not_of(" \t\r\n")));
  std::string text(head.substr(0, 16));
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// A pickle of protocol 2 to 5 begins with the opcode PROTO and, in what PyTorch writes, a value.
bool is_pickle(std::string_view head) {
  constexpr std::string_view first =
      "}](\x8a\x8c\x95"
      "c"sv;
  return head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5 &&
         first.find(head[2]) != std::string_view::npos;
}

// A bitmap says where its pixels begin, after a header of a known size.
bool is_bitmap(std::string_view head) {
  return has(head, "BM") && (head.size() < 10 || has(head, "\0\0\0\0"sv, 6));
}

}  // namespace

FileKind file_kind(std::string_view head) {
  if (head.empty()) return FileKind::empty;
  if (has(head, "RIFF") && has(head, "WEBP", 8)) return FileKind::webp;
  if (is_pickle(head)) return FileKind::pytorch;
  if (has(head, "PK\x03\x04") && head.find("data.pkl") != std::string_view::npos)
    return FileKind::pytorch;
  for (const Signature& signature : kSignatures)
    if (has(head, signature.bytes, signature.at)) return signature.kind;
  if (is_bitmap(head)) return FileKind::bmp;
  const std::string text = lower_text_start(head);
  for (const std::string_view page : {"<!doctype html"sv, "<html"sv, "<head"sv, "<?xml"sv})
    if (text.starts_with(page)) return FileKind::html;
  if (text.starts_with('{') || text.starts_with("[")) return FileKind::json;
  return FileKind::unknown;
}

std::string_view words(FileKind kind) {
  switch (kind) {
    case FileKind::empty: return "an empty file";
    case FileKind::png: return "a PNG picture";
    case FileKind::jpeg: return "a JPEG picture";
    case FileKind::webp: return "a WebP picture";
    case FileKind::gif: return "a GIF picture";
    case FileKind::bmp: return "a BMP picture";
    case FileKind::tiff: return "a TIFF picture";
    case FileKind::heif: return "a HEIF or AVIF picture";
    case FileKind::jpeg2000: return "a JPEG 2000 picture";
    case FileKind::git_lfs: return "a git-lfs pointer";
    case FileKind::html: return "a web page";
    case FileKind::json: return "JSON text";
    case FileKind::zip: return "a zip archive";
    case FileKind::pytorch: return "a PyTorch pickle";
    case FileKind::gzip: return "a gzip file";
    case FileKind::tar: return "a tar archive";
    case FileKind::hdf5: return "an HDF5 file";
    case FileKind::npy: return "a NumPy array";
    case FileKind::gguf: return "a GGUF file";
    case FileKind::unknown: break;
  }
  return "of an unknown kind";
}

std::string file_head(const std::string& path, size_t limit) {
  std::string head(limit, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(limit));
  head.resize(static_cast<size_t>(std::max<std::streamsize>(0, file.gcount())));
  return head;
}

}  // namespace passband
