#include "models/run_files.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "tensor/core/checksum.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHeadline =
    "# XXH64 of the texts of this run: name, bytes (+: of more), digits\n";
constexpr std::string_view kLastLine = "# of the lines above: ";
constexpr std::string_view kFirstLine = "# XXH64 of the lines below: ";

struct TextChecksum {
  std::string name;
  uint64_t bytes = 0;
  bool grows = false;
  std::string digits;

  bool agrees_with(std::string_view text) const {
    return (grows ? bytes <= text.size() : bytes == text.size()) &&
           digits == checksum_text(checksum_of(text.substr(0, bytes)));
  }
};

std::string file_text(const std::vector<TextChecksum>& checksums) {
  std::string text = kHeadline;
  for (const TextChecksum& c : checksums)
    text += concat_text(c.name, ' ', c.bytes, c.grows ? "+ " : " ", c.digits, '\n');
  return text + std::string(kLastLine) + checksum_text(checksum_of(text)) + '\n';
}

std::vector<TextChecksum> parse(std::string_view text) {
  std::vector<TextChecksum> checksums;
  for (const std::string& line : split_text(text, '\n')) {
    std::istringstream words(line);
    words.exceptions(std::ios::badbit);  // memory that runs out is no end of the line
    TextChecksum c;
    if (line.starts_with('#') || !(words >> c.name >> c.bytes)) continue;
    c.grows = words.peek() == '+';
    if (c.grows) words.get();
    words >> c.digits;
    checksums.push_back(c);
  }
  return checksums;
}

std::vector<TextChecksum> read_checksums(const fs::path& run) {
  const fs::path path = run / kChecksumsFile;
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  const std::string text = read_file(path.string());
  std::vector<TextChecksum> checksums = parse(text);
  // The one way to write them: then no byte of the file goes unchecked.
  if (text != file_text(checksums))
    throw DataError(concat_text(path.string(),
                                ": is damaged; take a copy of it, or delete it to go on without "
                                "checking the texts of this run"));
  return checksums;
}

// A text whose first line does not speak of a checksum vouches for nothing, and passes.
bool agrees_with_itself(std::string_view text) {
  if (!text.starts_with(kFirstLine)) return true;
  const size_t end = std::min(text.find('\n'), text.size() - 1);
  return text == with_checksum(text.substr(end + 1));
}

void write_checksums(const fs::path& run, const std::vector<TextChecksum>& checksums) {
  write_file_atomically((run / kChecksumsFile).string(), file_text(checksums));
}

}  // namespace

std::string read_run_file(const fs::path& run, const std::string& name) {
  const fs::path path = run / name;
  std::string text = read_file(path.string());
  std::vector<TextChecksum> checksums = read_checksums(run);
  std::erase_if(checksums, [&](const TextChecksum& c) { return c.name != name; });
  const bool known =
      checksums.empty() ||
      std::ranges::any_of(checksums, [&](const TextChecksum& c) { return c.agrees_with(text); });
  const bool whole = agrees_with_itself(text);
  if (known && whole) return text;
  std::vector<std::string> holders;
  if (!known) holders.emplace_back(kChecksumsFile);
  if (!whole) holders.emplace_back("its first line");
  throw DataError(concat_text(
      path.string(), ": is not what was written: it does not have its checksum in ",
      join(holders, " and "), "; take a copy of it, or, if it was changed on purpose, delete ",
      join(holders, " and ")));
}

std::string with_checksum(std::string_view text) {
  return concat_text(kFirstLine, checksum_text(checksum_of(text)), '\n', text);
}

void replace_run_file(const fs::path& run, const std::string& name, std::string_view text,
                      bool grows) {
  const fs::path path = run / name;
  std::error_code error;
  const std::string before = fs::exists(path, error) ? read_file(path.string()) : "";
  std::vector<TextChecksum> checksums = read_checksums(run);
  const std::string digits = checksum_text(checksum_of(text));
  std::erase_if(checksums, [&](const TextChecksum& c) {
    return c.name == name && (!c.agrees_with(before) || c.digits == digits);
  });
  checksums.push_back({name, text.size(), grows, digits});
  write_checksums(run, checksums);
  write_file_atomically(path.string(), text);
}

void record_run_log(const fs::path& run, const std::string& name, uint64_t bytes,
                    uint64_t checksum) {
  std::vector<TextChecksum> checksums = read_checksums(run);
  std::erase_if(checksums, [&](const TextChecksum& c) { return c.name == name; });
  checksums.push_back({name, bytes, true, checksum_text(checksum)});
  write_checksums(run, checksums);
}

}  // namespace passband
