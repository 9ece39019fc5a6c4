// What titles call a set of pictures.
#pragma once
#include <string>

namespace passband {

// The name of a known set as it is; of a path (a folder, tar shards) the last folder's name.
std::string title_of_data(const std::string& name);

}  // namespace passband
