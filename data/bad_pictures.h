// Pictures that cannot be read, found before anything begins: refused together, or left out.
#pragma once
#include <string>
#include <vector>

namespace passband {

struct BadPicture {
  std::string name;  // its path; of a shard's member the shard, its offset there and its name
  std::string reason;
};

// Throws one DataError that names them all; `what` they are, for one of them. There is at least
// one.
[[noreturn]] void refuse_bad_pictures(const std::vector<BadPicture>& bad,
                                      const std::string& what = "unreadable picture");

}  // namespace passband
