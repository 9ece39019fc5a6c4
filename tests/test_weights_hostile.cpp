// Files made to mislead, or damaged: every broken promise of a safetensors header is refused in one
// line, and so is each flipped bit and each cut of the files of a run.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "models/run_config.h"
#include "models/run_files.h"
#include "models/safetensors.h"
#include "tensor/core/checksum.h"
#include "tensor/core/file.h"
#include "tensor/core/version.h"

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
           {std::string(7, '\1'), "7 bytes; 8 are the least"},
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

TEST_CASE("XXH64 as its author's program computes it") {
  CHECK(checksum_text(checksum_of("")) == "ef46db3751d8e999");
  CHECK(checksum_text(checksum_of("abc")) == "44bc2cf5ad770999");
  for (const auto& [size, digits] :
       std::vector<std::pair<size_t, std::string>>{{31, "2fd3d6a9848e978e"},
                                                   {32, "d64d05cde4e6fd61"},
                                                   {33, "b8349b79d9b3425e"},
                                                   {65, "e6c30ea731c34898"},
                                                   {1000, "cae86109f50def4c"},
                                                   {65537, "65c32ae2b323ab8e"}}) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 13);
    CHECK(checksum_text(checksum_of(bytes)) == digits);
    Checksum in_pieces;
    for (size_t at = 0, piece = 1; at < size; at += piece, piece = (piece * 31 + 7) % 47)
      in_pieces.add(std::string_view(bytes).substr(at, piece));
    CHECK(checksum_text(in_pieces.value()) == digits);
  }
}

// Whether `read` refuses, in one line that names the file.
bool refuses(const std::string& path, const std::function<void()>& read) {
  try {
    read();
  } catch (const DataError& error) {
    const std::string message = error.what();
    return message.find(path) != std::string::npos && message.find('\n') == std::string::npos;
  }
  return false;
}

// How many of all single flipped bits and of all cuts of a file `read` lets through.
int64_t unnoticed_damages(const std::string& path, const std::function<void()>& read) {
  const std::string right = read_file(path);
  int64_t unnoticed = 0;
  const auto damaged = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    unnoticed += !refuses(path, read);
  };
  for (size_t bit = 0; bit < 8 * right.size(); ++bit) {
    std::string bytes = right;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    damaged(bytes);
  }
  for (size_t size = 0; size < right.size(); ++size) damaged(right.substr(0, size));
  std::ofstream(path, std::ios::binary) << right;
  read();
  return unnoticed;
}

TEST_CASE("Each flipped bit and each cut of a file of weights is refused") {
  const File file;
  write_safetensors(
      file.path,
      {{"w", Tensor::from({1, -2, 0.5}, {3})}, {"n", Tensor::from({7, 8}, {2}, DType::u8)}},
      {{"state", "{\"step\":3}"}});
  CHECK(unnoticed_damages(file.path, [&] { read_safetensors(file.path); }) == 0);
  CHECK(read_metadata(file.path) == Metadata{{"state", "{\"step\":3}"}});
}

// As a program elsewhere writes it: the same tensors, other metadata.
std::string written_elsewhere(const std::string& metadata) {
  const std::string json = "{" + metadata + kGood.substr(1);
  return with_length(json.size(), json + "12345678");
}

TEST_CASE("A file without a checksum is read, one that lost its own is not") {
  const File file;
  const auto accepts = [&](const std::string& metadata) {
    write_file_atomically(file.path, written_elsewhere(metadata));
    return !refuses(file.path, [&] { read_safetensors(file.path); });
  };
  CHECK(accepts(""));
  CHECK(accepts(R"("__metadata__":{"format":"pt","checksum":"sha256:1234"},)"));
  CHECK(!accepts(R"("__metadata__":{"passband_checksum":"xxh64:0123456789abcdef"},)"));
  CHECK(!accepts(R"("__metadata__":{"passband_checksum_of":"this file"},)"));
  CHECK(!accepts(R"("__metadata__":{"passband_checksum":"xxh64:01"},)"));
}

struct Folder {
  Folder()
      : path(std::filesystem::temp_directory_path() / concat_text("passband-run-", ::getpid())) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

TEST_CASE("Each flipped bit and each cut of a text of a run is refused") {
  const Folder run;
  replace_run_file(run.path, "config.toml", "[train]\nepochs = 3\n");
  replace_run_file(run.path, "config.toml", "[train]\nepochs = 5\n");
  const std::string log = "{\"step\":1}\n{\"step\":2}\n";
  replace_run_file(run.path, "metrics.jsonl", "", /*grows=*/true);
  {
    LogFile file((run.path / "metrics.jsonl").string());
    file.append(log);
  }
  record_run_log(run.path, "metrics.jsonl", log.size(), checksum_of(log));
  std::string config, metrics;
  const auto read_both = [&] {
    config = read_run_file(run.path, "config.toml");
    metrics = read_run_file(run.path, "metrics.jsonl");
  };
  for (const std::string name : {"config.toml", "metrics.jsonl", "checksums.txt"}) {
    INFO(name);
    CHECK(unnoticed_damages((run.path / name).string(), read_both) == 0);
    CHECK(config == "[train]\nepochs = 5\n");
    CHECK(metrics == log);
  }
}

TEST_CASE("A configuration without checksums.txt vouches for itself, until somebody unsigns it") {
  const Folder run;
  const std::string text = "[train]\nepochs = 5\n";
  const std::string path = (run.path / "config.toml").string();
  write_file_atomically(path, with_checksum(text));
  const auto read = [&] { return read_run_file(run.path, "config.toml"); };
  CHECK(read() == with_checksum(text));
  // All but those that make its first line another comment, or none at all.
  const std::string whole = read_file(path);
  const size_t before_digits = whole.find(": ") + 2;
  const auto read_signed = [&] {
    if (!read().starts_with(whole.substr(0, before_digits))) throw DataError(path + ": unsigned");
  };
  CHECK(unnoticed_damages(path, read_signed) == 0);
  write_file_atomically(path, text);
  CHECK(read() == text);
  replace_run_file(run.path, "config.toml", with_checksum(text));
  write_file_atomically(path, with_checksum(text) + "lr = 1\n");
  CHECK(refuses(path, read));
  CHECK_THROWS_WITH_AS(read(), doctest::Contains("delete checksums.txt and its first line"),
                       DataError);
}

TEST_CASE("A key of a configuration that is unknown, of another type or out of range is named") {
  RunConfig config;
  config.data.classes = {"a", "b"};
  config.sessions.push_back({.date = "2026-01-01T10:10:10Z", .version = version()});
  const std::string good = to_toml(config);
  run_config_from(good, "f");
  const auto message = [&](const std::string& what, const std::string& instead) -> std::string {
    std::string text = good;
    text.replace(text.find(what), what.size(), instead);
    try {
      run_config_from(text, "f");
    } catch (const DataError& error) {
      return error.what();
    }
    return "read";
  };
  CHECK(message("\nlr = 0.1", "\nlr = -0.1") == "f: lr: -0.1 is too small, the least is 0");
  CHECK(message("image_size = 32", "image_size = 0") ==
        "f: [model] image_size: 0 is too small, the least is 1");
  CHECK(message("step = 0", "step = -1") == "f: [[session]] step: -1 is too small, the least is 0");
  CHECK(message("count = 0", "count = -2") ==
        "f: [data] training_pictures count: -2 is too small, the least is 0");
  CHECK(message("\"0000000000000000\"", "\"000000000000000g\"") ==
        "f: [data] training_pictures pictures: \"000000000000000g\" are not 16 hexadecimal digits");
  CHECK(message("[\"a\", ", "[3, ") == "f: [data] class_names has the wrong type");
  CHECK(message("\nmixup = 0.0\n", "\nmixup = 0.0\nmixip = 0.5\n")
            .starts_with("f: [train] \"mixip\" is nothing that this version knows; did you mean"));
  CHECK(message("\n[train]\n", "\n[trane]\n").starts_with("f: section \"trane\" is nothing"));
  CHECK(message("\nmachine", "\nmechanic = 1\nmachine")
            .starts_with("f: [[session]] \"mechanic\" is nothing"));
}

TEST_CASE("A text of a run that grew, or was not replaced yet, or never had a checksum, is read") {
  const Folder run;
  replace_run_file(run.path, "metrics.jsonl", "{}\n", /*grows=*/true);
  std::ofstream(run.path / "metrics.jsonl", std::ios::app) << "{\"cut";
  CHECK(read_run_file(run.path, "metrics.jsonl") == "{}\n{\"cut");
  replace_run_file(run.path, "config.toml", "old");
  const std::string before = read_file((run.path / "config.toml").string());
  replace_run_file(run.path, "config.toml", "new");
  write_file_atomically((run.path / "config.toml").string(), before);
  CHECK(read_run_file(run.path, "config.toml") == "old");
  std::filesystem::remove(run.path / "checksums.txt");
  write_file_atomically((run.path / "config.toml").string(), "of an earlier version");
  CHECK(read_run_file(run.path, "config.toml") == "of an earlier version");
  CHECK_THROWS_AS(read_run_file(run.path, "none.toml"), DataError);
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
