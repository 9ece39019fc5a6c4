#include "data/index_file.h"

#include <cstdlib>

#include "tensor/core/checksum.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"

namespace passband {
namespace fs = std::filesystem;

std::vector<fs::path> places_of_index(const fs::path& folder, const std::string& name) {
  std::vector<fs::path> places = {folder / name};
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  const fs::path base = cache && *cache ? fs::path(cache)
                        : home && *home ? fs::path(home) / ".cache"
                                        : fs::path();
  if (base.empty()) return places;
  std::error_code code;
  const fs::path whole = fs::weakly_canonical(folder, code);
  places.push_back(
      base / "passband" /
      (checksum_text(checksum_of(((code ? folder : whole) / name).native())) + ".index"));
  return places;
}

std::pair<bool, std::string> keep_index(const std::vector<fs::path>& places,
                                        const std::string& bytes, const std::string& of) {
  std::string reason;
  for (size_t i = 0; i < places.size(); ++i) {
    try {
      std::error_code code;
      if (i > 0) fs::create_directories(places[i].parent_path(), code);
      write_file_atomically(places[i].string(), bytes);
      if (i == 0) return {true, ""};
      return {true, concat_text(places[0].parent_path().string(),
                                " cannot be written to: the index of its ", of, " lies in ",
                                places[i].string())};
    } catch (const Error& error) {
      if (reason.empty()) reason = error.what();
    }
  }
  return {false, concat_text("no index of the ", of,
                             " is kept, so that each start reads through "
                             "them: ",
                             reason)};
}

}  // namespace passband
