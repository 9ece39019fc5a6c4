// What must survive when the machine does not help: power that goes between any two writes, calls
// that fail, memory that runs out at any allocation.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "models/run_files.h"
#include "models/safetensors.h"
#include "tensor/core/checksum.h"
#include "tensor/core/file.h"
#include "tensor/core/split_text.h"
#include "tensor/core/standard_streams.h"
#include "tensor/core/storage.h"
#include "tensor/core/system_calls.h"

// How many more allocations succeed; negative: all of them.
static std::atomic<int64_t> allocations_left{-1};

// Not inlined: GCC takes free() in a destructor for a mismatch with the operator new beside it.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc();
  if (void* const block = std::malloc(bytes)) return block;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace passband {
namespace {

namespace fs = std::filesystem;

class Scratch {
 public:
  Scratch() {
    std::string pattern = (fs::temp_directory_path() / "passband-faults-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Scratch() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// --- power ---------------------------------------------------------------------------------------

// A disk as POSIX allows it to be: what was written is there after a loss of power once its file
// was synced, a name once its directory was. Keeps every state it has been in.
class ForgetfulDisk final : public SystemCalls {
 public:
  struct File {
    std::string now, synced;
  };
  struct State {
    std::map<std::string, std::shared_ptr<const File>> now, synced;  // by name
  };
  enum class Bytes { synced, torn, all };

  int open(const char* path, int flags, mode_t mode) override {
    const int file = SystemCalls::open(path, flags, mode);
    const std::string name = fs::path(path).filename().string();
    opened_[file] = (flags & O_DIRECTORY) != 0 ? "" : name;
    if ((flags & O_CREAT) != 0 && file >= 0 && !names_.contains(name)) {
      names_[name] = std::make_shared<File>();
      remember();
    }
    return file;
  }
  ssize_t write(int file, const void* bytes, size_t count) override {
    const ssize_t written = SystemCalls::write(file, bytes, count);
    names_.at(opened_.at(file))
        ->now.append(static_cast<const char*>(bytes), static_cast<size_t>(written));
    remember();
    return written;
  }
  int fsync(int file) override {
    const std::string& name = opened_.at(file);
    if (name.empty()) synced_names_ = names_;
    else names_.at(name)->synced = names_.at(name)->now;
    remember();
    return 0;
  }
  int rename(const char* from, const char* to) override {
    const int result = SystemCalls::rename(from, to);
    const std::string old = fs::path(from).filename().string();
    names_[fs::path(to).filename().string()] = names_.at(old);
    names_.erase(old);
    for (auto& [file, name] : opened_)
      if (name == old) name = fs::path(to).filename().string();
    remember();
    return result;
  }

  const std::vector<State>& states() const { return states_; }

  // What a machine finds that lost its power in this state: the names that were synced, or all.
  static void put_into(const fs::path& folder, const State& state, bool all_names, Bytes bytes) {
    for (const auto& entry : fs::directory_iterator(folder)) fs::remove(entry.path());
    for (const auto& [name, file] : all_names ? state.now : state.synced) {
      const size_t more = file->now.size() - file->synced.size();
      const size_t kept = bytes == Bytes::synced ? 0 : bytes == Bytes::torn ? more / 2 : more;
      std::ofstream(folder / name, std::ios::binary)
          << file->now.substr(0, file->synced.size() + kept);
    }
  }

 private:
  using Names = std::map<std::string, std::shared_ptr<File>>;

  void remember() {
    const auto copy = [](const Names& names) {
      std::map<std::string, std::shared_ptr<const File>> copied;
      for (const auto& [name, file] : names) copied[name] = std::make_shared<const File>(*file);
      return copied;
    };
    states_.push_back({copy(names_), copy(synced_names_)});
  }

  std::map<int, std::string> opened_;
  Names names_, synced_names_;
  std::vector<State> states_;
};

// A save of a run, with everything in it that tells which one it was.
void save(const fs::path& run, LogFile& log, std::string& lines, int version) {
  const std::string line = "{\"step\":" + std::to_string(version) + "}\n";
  log.append(line);
  lines += line;
  log.sync();
  record_run_log(run, "metrics.jsonl", lines.size(), checksum_of(lines));
  write_safetensors((run / "optim.safetensors").string(), {{"w", Tensor::full({50}, version)}},
                    {{"version", std::to_string(version)}});
  replace_run_file(run, "config.toml", "version = " + std::to_string(version) + "\n");
}

// The version of the state and of the configuration that a run holds. Throws DataError.
std::pair<int, int> versions_in(const fs::path& run) {
  Metadata metadata;
  const auto tensors = read_safetensors((run / "optim.safetensors").string(), &metadata);
  const int state = std::stoi(metadata.at("version"));
  CHECK(tensors.at("w").values() == std::vector<double>(50, state));
  const std::string config = read_run_file(run, "config.toml");
  const std::string log = read_run_file(run, "metrics.jsonl");
  CHECK(std::ranges::count(log, '\n') >= state);
  return {state, std::stoi(config.substr(config.find('=') + 1))};
}

TEST_CASE("a run that loses its power between any two calls has its last save or a newer one") {
  const Scratch run, after;
  ForgetfulDisk disk;
  constexpr int kSaves = 3;
  std::vector<size_t> done;  // states there were when a save had returned
  {
    const ReplacedSystemCalls replaced(disk);
    replace_run_file(run.path(), "metrics.jsonl", "", /*grows=*/true);
    LogFile log((run / "metrics.jsonl").string());
    std::string lines;
    for (int version = 1; version <= kSaves; ++version) {
      save(run.path(), log, lines, version);
      done.push_back(disk.states().size());
    }
  }
  using Bytes = ForgetfulDisk::Bytes;
  for (size_t at = done[0] - 1; at < disk.states().size(); ++at) {
    const auto saved = static_cast<int>(
        std::ranges::count_if(done, [&](size_t states) { return states <= at + 1; }));
    for (const bool all_names : {false, true})
      for (const Bytes bytes : {Bytes::synced, Bytes::torn, Bytes::all}) {
        INFO("state ", at, ", all names: ", all_names, ", bytes: ", static_cast<int>(bytes));
        ForgetfulDisk::put_into(after.path(), disk.states()[at], all_names, bytes);
        const auto [state, config] = versions_in(after.path());
        CHECK(state >= saved);
        CHECK(config >= saved);
        CHECK(state - config <= 1);
      }
  }
}

TEST_CASE("a file that was never synced would be noticed") {
  const Scratch run, after;
  ForgetfulDisk disk;
  {
    const ReplacedSystemCalls replaced(disk);
    LogFile log((run / "log").string());
    log.append("line\n");
  }
  ForgetfulDisk::put_into(after.path(), disk.states().back(), true, ForgetfulDisk::Bytes::synced);
  CHECK(read_file((after / "log").string()).empty());
  ForgetfulDisk::put_into(after.path(), disk.states().back(), false, ForgetfulDisk::Bytes::all);
  CHECK(!fs::exists(after / "log"));
}

// --- calls that fail -----------------------------------------------------------------------------

// The call number `fails` fails with `reason`; what a failed close or sync leaves is gone.
class FailingCalls final : public SystemCalls {
 public:
  FailingCalls(int64_t fails, int reason) : left_(fails), reason_(reason) {}

  int open(const char* path, int flags, mode_t mode) override {
    return failing() ? -1 : SystemCalls::open(path, flags, mode);
  }
  ssize_t write(int file, const void* bytes, size_t count) override {
    if (!failing()) return SystemCalls::write(file, bytes, count);
    SystemCalls::write(file, bytes, count / 2);
    errno = reason_;
    return -1;
  }
  int fsync(int) override { return failing() ? -1 : 0; }  // a real one takes a disk's time
  int close(int file) override {
    const bool fails = failing();
    const int result = SystemCalls::close(file);
    if (fails) errno = reason_;
    return fails ? -1 : result;
  }
  int rename(const char* from, const char* to) override {
    return failing() ? -1 : SystemCalls::rename(from, to);
  }
  bool failed() const { return left_ < 0; }

 private:
  bool failing() {
    if (left_-- != 0) return false;
    errno = reason_;
    return true;
  }
  int64_t left_;
  int reason_;
};

TEST_CASE("whichever call fails, a file is the old one or the new one, and nothing is left over") {
  for (const int reason : {ENOSPC, EIO, EDQUOT})
    for (int64_t k = 0;; ++k) {
      const Scratch run;
      replace_run_file(run.path(), "config.toml", "old");
      FailingCalls calls(k, reason);
      bool threw = false;
      {
        const ReplacedSystemCalls replaced(calls);
        try {
          replace_run_file(run.path(), "config.toml", "new");
        } catch (const Error& error) {
          threw = true;
          CHECK(std::string(error.what()).find(std::strerror(reason)) != std::string::npos);
        }
      }
      INFO("call ", k);
      const std::string found = read_run_file(run.path(), "config.toml");
      CHECK((found == "new" || (threw && found == "old")));
      CHECK(std::distance(fs::directory_iterator(run.path()), fs::directory_iterator()) == 2);
      if (!calls.failed()) break;
      REQUIRE(k < 100);
    }
}

// --- memory --------------------------------------------------------------------------------------

// Fails each allocation of `work` in turn: it throws what a program reports, or is right all the
// same; it gives everything back, and the next try succeeds. Returns how many allocations there
// are.
int64_t fail_each_allocation(const std::function<void()>& work) {
  work();
  const int64_t live = memory_statistics().live_bytes;
  for (int64_t k = 0;; ++k) {
    allocations_left = k;
    bool right = true;  // some do without: a block that cannot be kept for later is given back
    try {
      work();
    } catch (const std::exception& error) {
      right = dynamic_cast<const std::bad_alloc*>(&error) || dynamic_cast<const Error*>(&error);
    }
    const bool failed = allocations_left < 0;
    allocations_left = -1;
    if (!failed) return k;
    INFO("allocation ", k);
    CHECK(right);
    CHECK(memory_statistics().live_bytes == live);
    if (k % 16 == 0) CHECK_NOTHROW(work());
    REQUIRE(k < 100'000);
  }
}

// Leaves what is written to the system: that it is synced is tested above.
class WithoutSync final : public SystemCalls {
 public:
  int fsync(int) override { return 0; }
};

TEST_CASE("memory that runs out at any allocation ends a save or a load, and harms nothing") {
  WithoutSync calls;
  const ReplacedSystemCalls replaced(calls);
  const Scratch run;
  const std::string weights = (run / "w.safetensors").string();
  const Tensor w = Tensor::full({100}, 3);
  CHECK(fail_each_allocation([&] {
          write_safetensors(weights, {{"w", w}}, {{"state", "{}"}});
          const auto read = read_safetensors(weights);
          if (read.at("w").values() != w.values()) throw std::logic_error("other weights");
        }) > 20);
  replace_run_file(run.path(), "config.toml", "a = 1\n");
  CHECK(fail_each_allocation([&] {
          replace_run_file(run.path(), "config.toml", "a = 1\n");
          if (read_run_file(run.path(), "config.toml") != "a = 1\n")
            throw std::logic_error("other");
        }) > 20);
  CHECK(remove_stale_temporaries(run.path().string()) == 0);
  CHECK(read_safetensors(weights).at("w").values() == w.values());
}

TEST_CASE("a text that finds no memory is not a shorter one") {
  const std::string name = "a name that is too long to be kept without memory";
  CHECK(fail_each_allocation([&] {
          if (concat_text(name, '.', name, 7) != name + "." + name + "7")
            throw std::logic_error("another text");
        }) >= 2);
  CHECK(fail_each_allocation([&] {
          if (split_text(name + '\n' + name + "\n\n", '\n') !=
              std::vector<std::string>{name, name, ""})
            throw std::logic_error("other lines");
        }) >= 4);
}

TEST_CASE("tensors that find no memory throw, and give back what they had") {
  CHECK(fail_each_allocation([] {
          const Tensor a = Tensor::full({1000}, 2), b = Tensor::full({10, 100}, 3);
          const Tensor c = a.to({}).detach();
          if (c.values().size() != 1000 || b.numel() != 1000) throw std::logic_error("sizes");
        }) >= 3);
}

// --- descriptors ---------------------------------------------------------------------------------

// The exit code of `work` in a child process.
int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("no file is opened under the number of a closed standard stream") {
  const Scratch scratch;
  const std::string name = (scratch / "metrics.jsonl").string();
  CHECK(in_child([&] {
          for (const int stream : {0, 1, 2}) ::close(stream);
          prepare_standard_streams();
          LogFile log(name);
          std::fputs("a line of progress\n", stderr);
          log.append("{}\n");
          return 0;
        }) == 0);
  CHECK(read_file(name) == "{}\n");
}

TEST_CASE("memory that runs out where no exception may leave ends with its code, others do not") {
  const auto thrown = [](const auto& exception) {
    return in_child([&] {
      std::signal(SIGABRT, SIG_DFL);  // doctest would speak of it
      end_without_memory_by("");
      const std::exception_ptr reason = std::make_exception_ptr(exception);
      [&]() noexcept { std::rethrow_exception(reason); }();
      return 0;
    });
  };
  CHECK(thrown(std::bad_alloc()) == 5);
  CHECK(thrown(std::logic_error("a fault")) == -1);  // by a signal
}

TEST_CASE("what cannot be printed is dropped from stderr, and a fault where it is the product") {
  const auto full = [](int stream) {
    const int device = ::open("/dev/full", O_WRONLY);
    ::dup2(device, stream);
    prepare_standard_streams();
  };
  CHECK(in_child([&] {
          full(STDERR_FILENO);
          return std::fputs("progress\n", stderr) < 0 || std::fflush(stderr) != 0 ? 1 : 0;
        }) == 0);
  CHECK(in_child([&] {
          full(STDOUT_FILENO);
          std::fputs("{}\n", stdout);
          return code_after_output(0);
        }) == 1);
}

}  // namespace
}  // namespace passband
