#include "tensor/core/system_calls.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace passband {
namespace {

SystemCalls own_calls;
SystemCalls* calls_in_force = &own_calls;

}  // namespace

int SystemCalls::open(const char* path, int flags, mode_t mode) {
  return ::open(path, flags, mode);
}
ssize_t SystemCalls::write(int file, const void* bytes, size_t count) {
  return ::write(file, bytes, count);
}
int SystemCalls::truncate(int file, off_t bytes) { return ::ftruncate(file, bytes); }
int SystemCalls::fsync(int file) { return ::fsync(file); }
int SystemCalls::close(int file) { return ::close(file); }
int SystemCalls::rename(const char* from, const char* to) { return ::rename(from, to); }
int SystemCalls::unlink(const char* path) { return ::unlink(path); }

SystemCalls& system_calls() { return *calls_in_force; }

ReplacedSystemCalls::ReplacedSystemCalls(SystemCalls& calls) : before_(calls_in_force) {
  calls_in_force = &calls;
}
ReplacedSystemCalls::~ReplacedSystemCalls() { calls_in_force = before_; }

}  // namespace passband
