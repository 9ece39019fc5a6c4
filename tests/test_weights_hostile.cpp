// Safetensors files made to mislead: every broken promise of a header is refused in one line,
// whatever the bytes.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "models/safetensors.h"
#include "tensor/core/file.h"

namespace passband {
namespace {

std::string refusal(const std::string& json, uint64_t body = 8) {
  try {
    parse_safetensors_header("f", json, body);
  } catch (const DataError& error) {
    return error.what();
  }
  return "accepted";
}

const std::string kGood = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

TEST_CASE("A correct header is accepted, padded or not, with metadata and empty tensors") {
  CHECK(refusal(kGood) == "accepted");
  CHECK(refusal(kGood + "   ") == "accepted");
  CHECK(refusal("{}", 0) == "accepted");
  CHECK(refusal(R"({"__metadata__":{"x":"y"}})", 0) == "accepted");
  CHECK(refusal(R"({"a":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}})", 0) == "accepted");
  CHECK(refusal(R"({"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}})") == "accepted");
  CHECK(refusal(R"({"b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]},)"
                R"("a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})") == "accepted");
  CHECK(refusal(R"({"a":{"dtype":"F4","shape":[2,8],"data_offsets":[0,8]}})") == "accepted");
}

struct Lie {
  std::string json, reason;
  uint64_t body = 8;
};
const Lie kLies[] = {
    {"", "no JSON header"},
    {" " + kGood, "no JSON header"},
    {"[1]", "no JSON header"},
    {kGood.substr(0, 20), "not valid JSON"},
    {kGood + "x", "not valid JSON"},
    {kGood + kGood, "not valid JSON"},
    {"{\"a\xff\":1}", "not valid JSON"},
    {R"({"a":1})", "tensor \"a\" is described by a number"},
    {R"({"a":null})", "described by null"},
    {R"({"a":[]})", "described by an array"},
    {R"({"a":{}})", "tensor \"a\" lacks its type"},
    {R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", "lacks its shape"},
    {R"({"a":{"dtype":"F32","shape":[2]}})", "lacks its two offsets"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", "lacks its two offsets"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}})", "more than two offsets"},
    {R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", "unknown type \"F33\""},
    {R"({"a":{"dtype":4,"shape":[2],"data_offsets":[0,8]}})", "described by a number in dtype"},
    {R"({"a":{"dtype":"F32","shape":"2","data_offsets":[0,8]}})", "described by text in shape"},
    {R"({"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})",
     "described by an array in shape"},
    {R"({"a":{"dtype":"F32","shape":[{}],"data_offsets":[0,8]}})",
     "described by an object in shape"},
    {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "a negative number in shape"},
    {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", "a fraction"},
    {R"({"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]}})",
     "or a number too large"},
    {R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]}})",
     "a dimension of"},
    {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}})",
     "more than 8 dimensions"},
    {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
     "not what its shape"},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "has 8 bytes, which is not what"},
    {R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", "not what its shape", 1},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "before it begins"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
     "begins at byte 4, the one before ends at 0", 12},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
     "ends at byte 8 of 4; the file is cut short", 4},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "1 bytes after the last tensor",
     9},
    {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
     R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
     "tensor \"b\" begins at byte 2", 6},
    {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
     R"("b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
     "tensor \"b\" begins at byte 4, the one before ends at 2", 6},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
     R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
     "tensor \"a\" appears twice"},
    {R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
     "states dtype twice"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"note":"x"}})",
     "unknown field \"note\""},
    {R"({"__metadata__":{"x":1}})", "metadata \"x\" is a number; only text is allowed", 0},
    {R"({"__metadata__":{"x":{}}})", "is an object", 0},
    {R"({"__metadata__":[]})", "array", 0},
    {R"({"__metadata__":{"x":"1","x":"2"}})", "metadata key \"x\" appears twice", 0},
    {R"({"__metadata__":{},"__metadata__":{}})", "two __metadata__", 0}};

TEST_CASE("Each lie of a header is refused by name in one line") {
  for (const Lie& c : kLies) {
    INFO(c.json);
    const std::string message = refusal(c.json, c.body);
    CHECK_MESSAGE(message.find(c.reason) != std::string::npos, message);
    CHECK(message.starts_with("f: "));
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("Depth, length and control characters of a header do no harm") {
  CHECK(refusal("{\"a\":" + std::string(100'000, '[')).find("f: ") == 0);
  CHECK(refusal("{\"a\":" + std::string(100'000, '{')).find("f: ") == 0);
  const std::string message = refusal(R"({"a\nb)" + std::string(5000, 'c') + R"(":3})");
  CHECK(message.find('\n') == std::string::npos);
  CHECK(message.size() < 300);
}

struct File {
  File()
      : path((std::filesystem::temp_directory_path() / concat_text("passband-hostile-", ::getpid()))
                 .string()) {}
  ~File() { std::filesystem::remove(path); }
  std::string path;
};

std::string with_length(uint64_t length, const std::string& rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + rest;
}

TEST_CASE("A file whose length field lies is refused before memory is taken for it") {
  const File file;
  const int64_t peak = memory_statistics().peak_bytes;
  for (const auto& [bytes, reason] : std::vector<std::pair<std::string, std::string>>{
           {"", "0 bytes; 8 are the least"},
           {"1234567", "7 bytes; 8 are the least"},
           {with_length(kGood.size() + 1, kGood), "claims a header of"},
           {with_length(uint64_t{1} << 62, kGood), "claims a header of"},
           {with_length(~uint64_t{0}, kGood), "claims a header of"},
           {with_length(kGood.size(), kGood), "cut short"},
           {with_length(kGood.size(), kGood + "1234567"), "cut short"},
           {with_length(kGood.size(), kGood + "123456789"), "1 bytes after the last tensor"}}) {
    write_file_atomically(file.path, bytes);
    try {
      SafetensorsFile{file.path};
      FAIL("accepted ", bytes.size(), " bytes");
    } catch (const DataError& error) {
      CHECK_MESSAGE(std::string(error.what()).find(reason) != std::string::npos, error.what());
    }
  }
  CHECK(memory_statistics().peak_bytes == peak);
}

// Mutates headers by replacing, inserting, deleting and repeating pieces, with the words of the
// format as a dictionary.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : draw_({.seed = seed, .site = site_of("mutator")}) {}

  std::string mutate(std::string text) {
    static const std::vector<std::string> words = {"{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   ",",
                                                   ":",
                                                   "\"",
                                                   "0",
                                                   "8",
                                                   "-1",
                                                   "1e9",
                                                   "null",
                                                   "true",
                                                   "\"dtype\"",
                                                   "\"shape\"",
                                                   "\"data_offsets\"",
                                                   "\"__metadata__\"",
                                                   "\"F32\"",
                                                   "\"BF16\"",
                                                   "\"a\"",
                                                   "18446744073709551615",
                                                   "\xff",
                                                   "\\u0000"};
    for (int64_t edits = 1 + draw_.below(4); edits > 0 && !text.empty(); --edits) {
      const auto at = static_cast<size_t>(draw_.below(static_cast<int64_t>(text.size())));
      const auto length = static_cast<size_t>(draw_.below(12));
      const std::string& word =
          words[static_cast<size_t>(draw_.below(static_cast<int64_t>(words.size())))];
      switch (draw_.below(5)) {
        case 0: text[at] = static_cast<char>(draw_.below(256)); break;
        case 1: text.insert(at, word); break;
        case 2: text.erase(at, length); break;
        case 3: text.insert(at, text.substr(at, 4 * length)); break;
        default: text.replace(at, 1, word); break;
      }
    }
    return text;
  }

 private:
  RandomSequence draw_;
};

TEST_CASE(
    "A hundred thousand mutated headers are each accepted consistently or refused in one line") {
  const std::vector<std::string> seeds = {
      kGood,
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})",
      R"({"b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]},)"
      R"("a":{"dtype":"I32","shape":[],"data_offsets":[0,4]}})",
      R"({"e":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
      R"("a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})"};
  Mutator mutator(1);
  int64_t accepted = 0;
  for (int64_t i = 0; i < 100'000; ++i) {
    const std::string json = mutator.mutate(seeds[static_cast<size_t>(i) % seeds.size()]);
    try {
      const SafetensorsHeader header = parse_safetensors_header("f", json, 8);
      ++accepted;
      uint64_t total = 0;
      for (const auto& [name, entry] : header.entries) {
        REQUIRE(entry.begin <= entry.end);
        REQUIRE(entry.end <= 8);
        total += entry.end - entry.begin;
      }
      REQUIRE(total == 8);
    } catch (const DataError& error) {
      REQUIRE(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
  CHECK(accepted > 100);
  CHECK(accepted < 50'000);
}

}  // namespace
}  // namespace passband
