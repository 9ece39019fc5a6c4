// The texts of a run (config.toml, metrics.jsonl, ...) and checksums.txt, which holds a checksum of
// each: what a disk or a half-finished copy has damaged is refused instead of read. Where somebody
// has deleted checksums.txt, the texts are read as they are, but for one whose first line holds its
// checksum.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace passband {

inline constexpr const char* kChecksumsFile = "checksums.txt";

// The text `name` of a run. Throws DataError when it is missing, is not what was written by
// checksums.txt or its own first line, or when checksums.txt itself is damaged.
std::string read_run_file(const std::filesystem::path& run, const std::string& name);

// `text` after a comment that holds its checksum: a text that vouches for itself.
std::string with_checksum(std::string_view text);

// Replaces it (see write_file_atomically) and its checksum. Whatever moment the program is killed
// at, the file is one that checksums.txt knows: while it is replaced, both texts count as right.
// `grows`: lines will be appended, so that the checksum covers the beginning.
void replace_run_file(const std::filesystem::path& run, const std::string& name,
                      std::string_view text, bool grows = false);

// Records that the first `bytes` of a file that grows are on disk and have this checksum.
void record_run_log(const std::filesystem::path& run, const std::string& name, uint64_t bytes,
                    uint64_t checksum);

}  // namespace passband
