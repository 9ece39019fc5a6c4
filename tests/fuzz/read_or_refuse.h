// What every target asks of a reader.
#pragma once
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "tensor/core/error.h"

namespace passband::fuzz {

// Lets through that `read` reads, and that it refuses in one line.
template <class F> void read_or_refuse(F&& read) {
  try {
    read();
  } catch (const Error& error) {
    const std::string_view message = error.what();
    constexpr size_t kLongest = 2000;
    if (message.find('\n') == std::string_view::npos && message.size() < kLongest) return;
    std::cerr << "not one line: " << message << std::endl;
    std::abort();
  }
}

}  // namespace passband::fuzz
