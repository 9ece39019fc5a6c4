#include "data/published_sums.h"

#include <sys/stat.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "data/image.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/split_text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRemembered = ".md5-checked";

using Md5State = std::array<uint32_t, 4>;

// floor(2^32 |sin(i + 1)|)
const std::array<uint32_t, 64> kSines = [] {
  std::array<uint32_t, 64> table{};
  for (size_t i = 0; i < 64; ++i)
    table[i] =
        static_cast<uint32_t>(std::floor(std::abs(std::sin(static_cast<double>(i + 1))) * 0x1p32));
  return table;
}();

// Step 4 of RFC 1321, section 3.4, for one block of 64 bytes.
void digest_block(Md5State& state, const uint8_t* block) {
  std::array<uint32_t, 16> words;
  std::memcpy(words.data(), block, 64);
  auto [a, b, c, d] = state;
  const auto round = [&, &a = a, &b = b, &c = c, &d = d](uint32_t index, uint32_t start,
                                                         uint32_t stride, std::array<int, 4> turns,
                                                         auto mix) {
    for (uint32_t i = 0; i < 16; ++i) {
      const uint32_t word = words[(start + stride * i) % 16];
      const uint32_t sum = a + mix(b, c, d) + kSines[16 * index + i] + word;
      a = d;
      d = c;
      c = b;
      b += std::rotl(sum, turns[i % 4]);
    }
  };
  using Word = uint32_t;
  round(0, 0, 1, {7, 12, 17, 22}, [](Word x, Word y, Word z) { return (x & y) | (~x & z); });
  round(1, 1, 5, {5, 9, 14, 20}, [](Word x, Word y, Word z) { return (x & z) | (y & ~z); });
  round(2, 5, 3, {4, 11, 16, 23}, [](Word x, Word y, Word z) { return x ^ y ^ z; });
  round(3, 0, 7, {6, 10, 15, 21}, [](Word x, Word y, Word z) { return y ^ (x | ~z); });
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

// Size and time of modification: as long as they stay, so does the content.
std::string stamp_of(const fs::path& path, const PublishedSum& sum) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw DataError(concat_text(path.string(), ": cannot be read: ", std::strerror(errno)));
  return concat_text(sum.md5, ' ', status.st_size, ' ', status.st_mtim.tv_sec, '.',
                     status.st_mtim.tv_nsec, ' ', sum.file);
}

std::set<std::string> remembered_stamps(const fs::path& folder) {
  std::set<std::string> stamps;
  try {
    for (std::string& line : split_text(read_file((folder / kRemembered).string()), '\n'))
      stamps.insert(std::move(line));
  } catch (const DataError&) {
    stamps.clear();
  }
  return stamps;
}

}  // namespace

std::string md5_of(std::span<const uint8_t> bytes) {
  Md5State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  const uint64_t bits = bytes.size() * 8;
  for (; bytes.size() >= 64; bytes = bytes.subspan(64)) digest_block(state, bytes.data());
  std::array<uint8_t, 128> rest{};
  if (!bytes.empty()) std::memcpy(rest.data(), bytes.data(), bytes.size());
  rest[bytes.size()] = 0x80;
  const size_t padded = bytes.size() < 56 ? 64 : 128;
  std::memcpy(&rest[padded - 8], &bits, 8);
  for (size_t at = 0; at < padded; at += 64) digest_block(state, &rest[at]);
  std::string text;
  for (const uint32_t word : state)
    for (int nibble : {4, 0, 12, 8, 20, 16, 28, 24})
      text += "0123456789abcdef"[word >> nibble & 15];
  return text;
}

void check_published_sums(const fs::path& folder, std::span<const PublishedSum> sums,
                          std::string_view remedy) {
  constexpr int64_t kLargestFile = int64_t{1} << 30;
  const std::set<std::string> before = remembered_stamps(folder);
  std::string stamps;
  bool news = false;
  for (const PublishedSum& sum : sums) {
    const fs::path path = folder / sum.file;
    const std::string stamp = stamp_of(path, sum);
    stamps += stamp + '\n';
    if (before.contains(stamp)) continue;
    const std::string found = md5_of(read_file_bytes(path, kLargestFile));
    if (found != sum.md5)
      throw DataError(concat_text(path.string(), ": its MD5 sum is ", found, ", the published one ",
                                  sum.md5,
                                  ": damaged, or not the official file; delete it and get "
                                  "it again with ",
                                  remedy));
    news = true;
  }
  if (!news) return;
  try {
    write_file_atomically((folder / kRemembered).string(), stamps);
  } catch (const Error&) {
    // A folder that cannot be written: the sums are computed each time, a third of a second.
    return;
  }
}

}  // namespace passband
