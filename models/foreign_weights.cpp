#include "models/foreign_weights.h"

#include <algorithm>
#include <string_view>

#include "tensor/core/error.h"
#include "tensor/core/file_kind.h"

namespace passband {
namespace {

// What to do with a file of such a kind, as the end of a sentence that has named it.
std::string way_out(FileKind kind, std::string_view head) {
  switch (kind) {
    case FileKind::git_lfs: return ", not the file it stands for: get that with `git lfs pull`";
    case FileKind::html:
      return ": a download that failed or wanted a login; fetch the weights again";
    case FileKind::pytorch:
      return ": convert it with PyTorch: safetensors.torch.save_file(torch.load(FILE, "
             "weights_only=True), \"weights.safetensors\")";
    case FileKind::json:
      if (head.find("\"weight_map\"") != std::string_view::npos)
        return " that is an index of parts: join the files it names into one with "
               "safetensors.torch.load_file and save_file";
      break;
    case FileKind::zip:
    case FileKind::gzip:
    case FileKind::tar: return ": unpack it and give the safetensors file in it";
    default: break;
  }
  return ", not a safetensors file";
}

// What a person can read, in ASCII or UTF-8.
bool is_text(std::string_view head) {
  return !head.empty() && std::ranges::all_of(head, [](unsigned char c) {
    return c >= ' ' ? c != 0x7f : c == '\t' || c == '\n' || c == '\r';
  });
}

}  // namespace

void refuse_foreign_weights(const std::string& path) {
  constexpr size_t kIndexHead = 64 << 10;  // an index lists its parts after some metadata
  const std::string head = file_head(path, kIndexHead);
  constexpr size_t kLengthBytes = 8;  // of the header, which is a JSON object
  if (head.size() > kLengthBytes && head[kLengthBytes] == '{') return;
  const FileKind kind = file_kind(std::string_view(head).substr(0, kFileHead));
  if (kind == FileKind::unknown && is_text(head))
    throw DataError(concat_text(path, ": is a text file, not one of weights: name the file that ",
                                "torch.save or safetensors wrote"));
  if (kind == FileKind::unknown || kind == FileKind::empty) return;
  throw DataError(concat_text(path, ": is ", words(kind), way_out(kind, head)));
}

}  // namespace passband
