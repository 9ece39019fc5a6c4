#include "tensor/core/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

namespace passband {
namespace {

// For fopencookie: takes all bytes, whatever becomes of them.
ssize_t print_or_drop(void*, const char* bytes, size_t count) {
  for (size_t done = 0; done < count;) {
    const ssize_t written = ::write(STDERR_FILENO, bytes + done, count - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    done += static_cast<size_t>(written);
  }
  return static_cast<ssize_t>(count);
}

const char* line_without_memory = "";

}  // namespace

void prepare_standard_streams() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor)
    if (::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
      // The lowest number that is free, which is this one.
      (void)::open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY);
  // Whoever prints on stderr (fmt throws when it fails) then need not know about it.
  cookie_io_functions_t functions{};
  functions.write = print_or_drop;
  if (std::FILE* const stream = ::fopencookie(nullptr, "w", functions)) {
    std::setvbuf(stream, nullptr, _IOLBF, BUFSIZ);
    stderr = stream;
  }
}

void end_without_memory_by(const char* line) {
  line_without_memory = line;
  std::set_terminate([] {
    if (const std::exception_ptr reason = std::current_exception()) {
      try {
        std::rethrow_exception(reason);
      } catch (const std::bad_alloc&) {
        print_or_drop(nullptr, line_without_memory, std::strlen(line_without_memory));
        ::_exit(5);
      } catch (...) {
      }
    }
    std::abort();
  });
}

int code_after_output(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fprintf(stderr, "cannot write to standard output: %s\n", std::strerror(errno));
  std::fflush(stderr);
  return code == 0 ? 1 : code;
}

}  // namespace passband
