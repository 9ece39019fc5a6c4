#include "train/say.h"

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

}  // namespace passband
