#include "data/data_title.h"

#include <filesystem>
#include <system_error>

namespace passband {
namespace fs = std::filesystem;

std::string title_of_data(const std::string& name) {
  if (name.find('/') == std::string::npos && name != "." && name != "..") return name;
  std::error_code code;
  fs::path path = fs::absolute(name, code).lexically_normal();
  if (!path.has_filename() || path.extension() == ".tar") path = path.parent_path();
  return path.has_filename() ? path.filename().string() : name;
}

}  // namespace passband
