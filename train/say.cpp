#include "train/say.h"

#include <fmt/format.h>

#include <cstdio>

namespace passband {
namespace {

void print(std::FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace

void say(const std::string& text) { print(stderr, text); }

void print_line(const std::string& line) { print(stdout, line + '\n'); }

std::string counted(int64_t count, const std::string& noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace passband
