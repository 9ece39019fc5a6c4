// Whole-file writing under failure: the old file survives, nothing is left over, the message says
// what was wrong.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tensor/core/error.h"
#include "tensor/core/file.h"

using namespace passband;
namespace fs = std::filesystem;

namespace {

class Scratch {
 public:
  Scratch() : path_(fs::temp_directory_path() / ("passband-file-" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Scratch() { fs::remove_all(path_); }
  std::string operator()(const std::string& name = {}) const { return (path_ / name).string(); }
  long entries() const {
    return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
  }

 private:
  fs::path path_;
};

// Lets no file of this process grow beyond `bytes`: a write then fails part-way, as on a full disk.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t bytes) {
    old_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  sighandler_t old_handler_ = SIG_DFL;
};

}  // namespace

TEST_CASE("what is written is read back, every byte, whatever the size") {
  const Scratch scratch;
  for (const size_t size : {0u, 1u, 65535u, 65536u, 65537u, 1000000u}) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 251);
    write_file_atomically(scratch("a"), bytes);
    CHECK(read_file(scratch("a")) == bytes);
  }
  CHECK(scratch.entries() == 1);
}

TEST_CASE("a write that fails part-way leaves the old file and no temporary one") {
  const Scratch scratch;
  write_file_atomically(scratch("a"), "the old contents");
  {
    const SizeLimit limit(1000);
    CHECK_THROWS_WITH_AS(
        write_file_atomically(scratch("a"), std::string(5000, 'x')),
        doctest::Contains(
            "File too large (writing; 5000 bytes needed); a file already there is unchanged"),
        Error);
    CHECK_THROWS_WITH_AS(write_file_atomically(scratch("new"), std::string(5000, 'x')),
                         doctest::Contains(scratch("new").c_str()), Error);
  }
  CHECK(read_file(scratch("a")) == "the old contents");
  CHECK(scratch.entries() == 1);
}

TEST_CASE(
    "a missing directory, a directory in the way and a missing file are named with the reason") {
  const Scratch scratch;
  CHECK_THROWS_WITH_AS(write_file_atomically(scratch("no/such/a"), "x"),
                       doctest::Contains("No such file or directory"), Error);
  fs::create_directories(scratch("d/inside"));
  CHECK_THROWS_WITH_AS(write_file_atomically(scratch("d"), "x"), doctest::Contains("renaming"),
                       Error);
  CHECK(fs::is_directory(scratch("d/inside")));
  CHECK(scratch.entries() == 1);
  CHECK_THROWS_WITH_AS(read_file(scratch("none")),
                       doctest::Contains("none: No such file or directory"), DataError);
  CHECK_THROWS_WITH_AS(read_file(scratch("d")), doctest::Contains("Is a directory"), DataError);
}

TEST_CASE("a reader sees the old file or the new one, never a part of either") {
  const Scratch scratch;
  write_file_atomically(scratch("a"), std::string(200000, '0'));
  std::atomic<bool> done{false};
  std::atomic<int> torn{0}, reads{0};
  std::thread reader([&] {
    while (!done) {
      const std::string bytes = read_file(scratch("a"));
      torn += bytes.size() != 200000 || bytes.find_first_not_of(bytes[0]) != std::string::npos;
      ++reads;
    }
  });
  for (int i = 1; i <= 40; ++i)
    write_file_atomically(scratch("a"), std::string(200000, static_cast<char>('0' + i % 10)));
  done = true;
  reader.join();
  CHECK(reads > 0);
  CHECK(torn == 0);
}

TEST_CASE("what a killed program of the same process id left behind is in nobody's way") {
  const Scratch scratch;
  fs::create_directories(scratch("checkpoints"));
  for (int i = 0; i < 100; ++i)
    for (const std::string name : {"a", "checkpoints/b"})
      std::ofstream(scratch(name + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(i)));
  write_file_atomically(scratch("a"), "new");
  CHECK(read_file(scratch("a")) == "new");
  std::ofstream(scratch("last.safetensors.tmp-0123456789abcdef"));
  const std::vector<std::string> own = {"a", "mine.tmp-", "notes.tmp-today", ".tmp-1-2",
                                        "x.tmp-0123"};
  for (const std::string& name : own) std::ofstream(scratch(name), std::ios::app);
  CHECK(remove_stale_temporaries(scratch()) == 201);
  for (const std::string& name : own) CHECK(fs::exists(scratch(name)));
  CHECK(scratch.entries() == static_cast<long>(own.size()) + 1);
  CHECK(remove_stale_temporaries(scratch("no such folder")) == 0);
}

TEST_CASE("a temporary file that a program is writing is not stale") {
  const Scratch scratch;
  const std::string name = scratch("a.tmp-0123456789abcdef");
  const int writer = ::open(name.c_str(), O_WRONLY | O_CREAT, 0666);
  REQUIRE(::flock(writer, LOCK_EX | LOCK_NB) == 0);
  CHECK(remove_stale_temporaries(scratch()) == 0);
  ::close(writer);
  CHECK(remove_stale_temporaries(scratch()) == 1);
}

TEST_CASE("files are written whole while another program tidies up at every moment") {
  const Scratch scratch;
  std::atomic<bool> done{false};
  std::thread tidy([&] {
    while (!done) remove_stale_temporaries(scratch());
  });
  for (int i = 0; i < 300; ++i) {
    write_file_atomically(scratch("a"), std::to_string(i));
    CHECK(read_file(scratch("a")) == std::to_string(i));
  }
  done = true;
  tidy.join();
  CHECK(scratch.entries() == 1);
}
