// Whole-file reading and writing. A file is written whole or not at all, and survives a crash at
// any moment.
#pragma once
#include <string>
#include <string_view>

namespace passband {

// All bytes of the file at `path`. Throws DataError with the path and the system's reason.
std::string read_file(const std::string& path);

// Replaces the file at `path` by `bytes`: written to a temporary file in the same directory, fsync,
// rename, fsync of the directory. Readers see the old file or the new one, never a part. Throws
// Error (path, reason, bytes needed) when anything fails, a full disk included: the old file is
// then intact and the temporary one is removed.
void write_file_atomically(const std::string& path, std::string_view bytes);

}  // namespace passband
