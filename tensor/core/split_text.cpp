#include "tensor/core/split_text.h"

#include <algorithm>

namespace passband {

std::vector<std::string> split_text(std::string_view text, char end) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const size_t length = std::min(text.find(end), text.size());
    pieces.emplace_back(text.substr(0, length));
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return pieces;
}

}  // namespace passband
