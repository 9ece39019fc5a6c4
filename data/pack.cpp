#include "data/pack.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <iomanip>
#include <numeric>

#include <fcntl.h>
#include <unistd.h>

#include "data/loader.h"
#include "data/readers.h"
#include "data/tar.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/file_kind.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kShardBytes = 500'000'000, kLeastShards = 4;

std::string padded_number(int64_t number, int digits) {
  return concat_text(std::setw(digits), std::setfill('0'), number);
}

int64_t bytes_of_member(int64_t content) {
  return kTarBlock + content + std::ssize(tar_padding(content));
}

std::string label_text(int32_t label) { return std::to_string(label); }

// A folder beside OUT, which takes its place in the end and is removed otherwise.
class Staging {
 public:
  explicit Staging(const fs::path& out) : out_(out) {
    path_ = out.parent_path() / concat_text(".", out.filename().string(), ".packing");
    const fs::path lock = path_.string() + ".lock";
    lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_ < 0)
      throw Error(concat_text(out.string(), ": cannot be written: ", std::strerror(errno)));
    if (!try_lock(lock_)) {
      ::close(lock_);
      throw UsageError(concat_text(out.string(), ": another program is packing it"));
    }
    fs::remove_all(path_);  // of one that was killed
    fs::create_directory(path_);
  }
  ~Staging() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
    fs::remove(path_.string() + ".lock", ignored);
    ::close(lock_);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  fs::path operator/(const std::string& name) const { return path_ / name; }

  void become_out() {
    std::error_code code;
    fs::rename(path_, out_, code);  // also onto an empty folder
    if (code) throw Error(concat_text(out_.string(), ": cannot be put in place: ", code.message()));
  }

 private:
  fs::path out_, path_;
  int lock_ = -1;
};

class Packer {
 public:
  Packer(const fs::path& folder, const PackOptions& options)
      : options_(options), data_(read_image_folder(folder, /*side=*/8, options.skip_bad_pictures)) {
    packed_.classes = data_.train.classes;
    packed_.left_out = data_.left_out;
    for (const std::string& name : packed_.classes)
      if (name.find_first_of("\r\n") != std::string::npos)
        throw DataError(concat_text(folder.string(), ": the name of class ", quote(name),
                                    " ends a line; classes.txt cannot hold it: rename it"));
    for (const Dataset* data : {&data_.train, &data_.val, &data_.test})
      if (data->count > 0) plan(*data);
  }

  // Of all files, about.
  int64_t bytes() const { return packed_.bytes; }
  const Packed& packed() const { return packed_; }

  // False when it was stopped.
  bool write(const Staging& staging) {
    size_t split = 0;
    for (const Dataset* data : {&data_.train, &data_.val, &data_.test})
      if (data->count > 0 && !write_split(*data, packed_.splits[split++], staging)) return false;
    write_file_atomically((staging / "classes.txt").string(), join(packed_.classes, "\n") + "\n");
    return true;
  }

 private:
  void plan(const Dataset& data) {
    int64_t bytes = 0;
    for (int64_t i = 0; i < data.count; ++i)
      bytes += bytes_of_member(data.files.bytes(i)) +
               bytes_of_member(std::ssize(label_text(data.labels[static_cast<size_t>(i)])));
    const bool training = &data == &data_.train;
    int64_t shards = std::max(training ? kLeastShards : 1, (bytes + kShardBytes - 1) / kShardBytes);
    if (training && options_.shards > 0) shards = options_.shards;
    shards = std::min(shards, data.count);
    std::string name = data.split == "all" ? "train" : data.split;
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const std::string numbers = shards == 1 ? padded_number(0, 6)
                                            : concat_text("{", padded_number(0, 6), "..",
                                                          padded_number(shards - 1, 6), "}");
    packed_.splits.push_back({name, shards, data.count, concat_text(name, "-", numbers, ".tar")});
    packed_.bytes += bytes + shards * kTarBlock * 20;
    all_ += data.count;
  }

  bool write_split(const Dataset& data, const PackedSplit& split, const Staging& staging) {
    std::vector<int64_t> order(static_cast<size_t>(data.count));
    std::iota(order.begin(), order.end(), int64_t{0});
    if (options_.shuffle) order = epoch_order(data.count, options_.seed, /*epoch=*/0);
    for (int64_t shard = 0; shard < split.shards; ++shard) {
      LogFile file(
          (staging / concat_text(split.name, "-", padded_number(shard, 6), ".tar")).string());
      const int64_t end = data.count * (shard + 1) / split.shards;
      for (int64_t i = data.count * shard / split.shards; i < end; ++i) {
        if (options_.progress && !options_.progress(done_, all_)) return false;
        write_sample(data, order[static_cast<size_t>(i)], padded_number(i, 9), file);
        ++done_;
      }
      file.append(tar_end(file.bytes()));
      file.sync();
    }
    return true;
  }

  static void write_sample(const Dataset& data, int64_t index, const std::string& key,
                           LogFile& file) {
    const EncodedPicture picture = data.files.open(index);
    const std::string_view bytes(reinterpret_cast<const char*>(picture.file().data()),
                                 picture.file().size());
    const bool png = file_kind(bytes.substr(0, kFileHead)) == FileKind::png;
    const std::string label = label_text(data.labels[static_cast<size_t>(index)]);
    std::string sample = tar_header(key + (png ? ".png" : ".jpg"), std::ssize(bytes));
    sample.append(bytes).append(tar_padding(std::ssize(bytes)));
    sample += tar_header(key + ".cls", std::ssize(label));
    sample.append(label).append(tar_padding(std::ssize(label)));
    file.append(sample);
  }

  const PackOptions& options_;
  DataSplits data_;
  Packed packed_;
  int64_t done_ = 0, all_ = 0;
};

// OUT with its parent, which is made, as absolute paths.
fs::path checked_out(const fs::path& folder, const fs::path& given) {
  if (given.empty()) throw UsageError("--pack: names a folder and where its shards shall lie");
  fs::path out = fs::absolute(given).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();
  std::error_code code;
  if (fs::exists(out, code) && (!fs::is_directory(out, code) || !fs::is_empty(out, code)))
    throw UsageError(concat_text(given.string(),
                                 ": is there already, and is no empty folder; name "
                                 "another place for the shards"));
  const fs::path within = out.lexically_relative(fs::absolute(folder).lexically_normal());
  if (!within.empty() && *within.begin() != "..")
    throw UsageError(concat_text(given.string(), ": lies in ", folder.string(),
                                 ", whose pictures are packed; name a place outside"));
  return out;
}

// As far as the system tells.
void check_room(const fs::path& place, int64_t bytes) {
  std::error_code code;
  const fs::space_info space = fs::space(place, code);
  if (!code && space.available < static_cast<uintmax_t>(bytes))
    throw Error(concat_text(place.string(), ": the shards need ", bytes / 1'000'000,
                            " MB and the disk has ", space.available / 1'000'000, " MB left"));
}

}  // namespace

std::optional<Packed> pack_folder(const fs::path& folder, const fs::path& given,
                                  const PackOptions& options) {
  const fs::path out = checked_out(folder, given);
  if (!fs::is_directory(folder))
    throw DataError(concat_text(folder.string(), ": is no folder of pictures"));
  Packer packer(folder, options);
  if (!options.write) return packer.packed();
  std::error_code code;
  fs::create_directories(out.parent_path(), code);
  if (code)
    throw Error(concat_text(out.parent_path().string(), ": cannot be made: ", code.message()));
  check_room(out.parent_path(), packer.bytes());
  Staging staging(out);
  if (!packer.write(staging)) return std::nullopt;
  staging.become_out();
  return packer.packed();
}

}  // namespace passband
