#include "tests/fuzz/targets.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "analysis/report/section_store.h"
#include "data/cifar_png.h"
#include "data/corruptions.h"
#include "data/image.h"
#include "data/matlab.h"
#include "data/shard_index.h"
#include "data/tar.h"
#include "models/pytorch_file.h"
#include "models/run.h"
#include "models/run_files.h"
#include "models/safetensors.h"
#include "tensor/core/checksum.h"
#include "tests/fuzz/read_or_refuse.h"

namespace passband::fuzz {
namespace {

namespace fs = std::filesystem;

// A folder of this process, in memory where the system has such a place.
class Folder {
 public:
  Folder() {
    const fs::path parent = fs::is_directory("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();
    std::string pattern = (parent / "passband-fuzz-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  fs::path operator/(std::string_view name) const { return path_ / name; }
  const fs::path& path() const { return path_; }
  fs::path put(std::string_view name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), std::ssize(bytes));
    return path_ / name;
  }

 private:
  fs::path path_;
};

const Folder& folder() {
  static const Folder instance;
  return instance;
}

// A .npy file of bytes with this shape.
std::string npy_of(const std::string& shape, size_t elements) {
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(117, ' ');
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + '\n' + std::string(elements, '\1');
}

}  // namespace

void model_name(std::string_view bytes) {
  constexpr size_t kLongest = 200;  // a longer pattern is only more of the same
  const std::string name(bytes.substr(0, kLongest));
  read_or_refuse([&] { make_model(name, {.classes = 10, .image_size = 32}, /*build=*/false); });
}

void safetensors(std::string_view bytes) {
  read_or_refuse([&] { read_safetensors(folder().put("weights.safetensors", bytes).string()); });
}

void pytorch(std::string_view bytes) {
  const std::string path = folder().put("weights.pth", bytes).string();
  read_or_refuse([&] {
    PytorchFile file(path);
    for (const auto& [name, shape] : file.shapes())
      read_or_refuse([&] { file.read(name, DType::f32); });
  });
}

void picture(std::string_view bytes) {
  const fs::path path = folder().put("picture", bytes);
  std::vector<uint8_t> small(5 * 7 * 3);
  read_or_refuse([&] {  // decoded smaller, in part
    const EncodedPicture picture(path);
    picture.resize(centre_square(picture.height(), picture.width()), small.data(), 5, 7);
  });
  read_or_refuse([&] { read_image(path); });
}

void gzip(std::string_view bytes) {
  if (bytes.size() < 2) return;
  const auto size = static_cast<unsigned char>(bytes[0]) | static_cast<unsigned char>(bytes[1])
                                                               << 8;
  bytes.remove_prefix(2);
  read_or_refuse([&] {
    inflate_gzip({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, size, "f");
  });
}

void label_json(std::string_view bytes) {
  folder().put("train_lables.json", bytes);
  read_or_refuse([&] { import_cifar10_png(folder().path(), folder() / "imported"); });
}

void npy(std::string_view bytes) {
  if (bytes.empty()) return;
  const bool labels = bytes[0] % 2 == 0;
  bytes.remove_prefix(1);
  folder().put("labels.npy", labels ? bytes : npy_of("(1,)", 1));
  folder().put("fog.npy", labels ? npy_of("(5, 2, 2, 3)", 60) : bytes);
  read_or_refuse([&] {
    const CorruptionFiles files(folder().path());
    files.read(Corruption::fog, 5, std::vector<int64_t>{files.count() - 1});
  });
}

void matlab(std::string_view bytes) {
  constexpr int64_t kMostBytes = 1 << 20;
  const fs::path path = folder().put("f.mat", bytes);
  read_or_refuse([&] {
    for (const MatlabArray& array : read_matlab(path, {"trnid", "valid", "tstid"}, kMostBytes))
      whole_numbers(array, 8189, path);
  });
}

void tar(std::string_view bytes) {
  const fs::path path = folder().put("shard.tar", bytes);
  read_or_refuse([&] {
    const ShardContents shard = read_shard(path, ShardCheck::structure, {"cat", "dog"});
    for (const ShardPicture& picture : shard.pictures)
      read_file_part(path, picture.offset, picture.bytes);
    for (const ShardFault& fault : shard.faults)
      if (fault.offset < 0 || fault.offset > std::ssize(bytes)) std::abort();
  });
}

void shard_index(std::string_view bytes) {
  const std::string body(bytes);
  const uint64_t value = checksum_of(body);
  read_or_refuse([&] {
    parse_shard_index(body + std::string(reinterpret_cast<const char*>(&value), sizeof value), 7);
    parse_shard_index(body, 7);
  });
}

void run_config(std::string_view bytes) {
  folder().put("config.toml", bytes);
  fs::remove(folder() / kChecksumsFile);
  read_or_refuse([&] { read_run(folder().path()); });
}

void run_checksums(std::string_view bytes) {
  folder().put("metrics.jsonl", "{}\n");
  folder().put(kChecksumsFile, bytes);
  read_or_refuse([&] { read_run_file(folder().path(), "metrics.jsonl"); });
}

void section(std::string_view bytes) {
  read_or_refuse([&] { section_from_json(std::string(bytes), "sections/x.json"); });
}

}  // namespace passband::fuzz
