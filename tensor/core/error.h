// Errors are exceptions: a CHECK names the operation, the rule, and the operands that broke it.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace passband {

// A broken rule that the caller can mend (wrong shape, unknown name, bad file). `what()` is one
// clear line, followed by "  in <module path>" when a module was running.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Bad command line or configuration (exit code 2).
class UsageError : public Error {
 public:
  using Error::Error;
};

// Data that is missing, truncated or fails its checksum (exit code 3).
class DataError : public Error {
 public:
  using Error::Error;
};

// Memory that could not be had (exit code 5).
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

// Name of the module that is running, for messages, taps and random sites: "stages.2.blocks.1.msa".
const std::string& current_scope();

// Appends `name` to the current scope for the lifetime of the guard (thread local).
class ScopeGuard {
 public:
  explicit ScopeGuard(std::string_view name);
  ~ScopeGuard();
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  size_t restore_;
};

template <class... Parts> std::string concat_text(const Parts&... parts) {
  std::ostringstream out;
  out.exceptions(std::ios::badbit);  // without memory a stream would cut the text, and say nothing
  (out << ... << parts);
  return out.str();
}

// Adds the current scope to a message.
std::string with_scope(std::string message);

}  // namespace passband

// A user's mistake: always checked. PASSBAND_CHECK(a == b, "matmul: inner dimensions differ: a is
// ", a, ", b is ", b)
#define PASSBAND_CHECK(condition, ...)                                                       \
  do {                                                                                       \
    if (!(condition))                                                                        \
      throw ::passband::Error(::passband::with_scope(::passband::concat_text(__VA_ARGS__))); \
  } while (0)

#ifdef PASSBAND_SOURCES  // defined where the project's own sources are compiled
#include "tensor/core/short_macros.h"
#endif
