#include "analysis/report/drawing_check.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace passband {
namespace {

constexpr std::array<std::string_view, 11> kElements = {
    "svg", "g", "path", "rect", "line", "text", "title", "desc", "image", "pattern", "clipPath"};

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == ':' || c == '_';
}

// Reads a text from its front.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::string_view until(char end) { return taken(std::min(rest_.find(end), rest_.size())); }
  std::string_view name() {
    size_t length = 0;
    while (length < rest_.size() && is_name(rest_[length])) ++length;
    return taken(length);
  }
  void blanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }

 private:
  std::string_view taken(size_t length) {
    const std::string_view front = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return front;
  }

  std::string_view rest_;
};

bool is_plain_attribute(std::string_view name, std::string_view value) {
  if (name.empty() || name.starts_with("on") || name == "style") return false;
  if (name.ends_with("href")) return value.starts_with("data:image/png;base64,");
  const size_t address = value.find("url(");
  return address == std::string_view::npos || value.substr(address).starts_with("url(#");
}

// The attributes and the end of a tag; sets `closed` for <name/>.
bool take_attributes(Scanner& in, bool& closed) {
  for (;;) {
    in.blanks();
    closed = in.take("/>");
    if (closed || in.take(">")) return true;
    const std::string_view name = in.name();
    if (!in.take("=\"")) return false;
    const std::string_view value = in.until('"');
    if (!in.take("\"") || !is_plain_attribute(name, value)) return false;
  }
}

}  // namespace

bool is_plain_drawing(std::string_view svg) {
  Scanner in(svg);
  std::vector<std::string_view> open;
  while (!in.done()) {
    in.until('<');
    if (in.done()) break;
    in.take("<");
    if (in.take("/")) {
      if (open.empty() || in.name() != open.back() || !in.take(">")) return false;
      open.pop_back();
      continue;
    }
    const std::string_view name = in.name();
    if (std::ranges::find(kElements, name) == kElements.end()) return false;
    bool closed = false;
    if (!take_attributes(in, closed)) return false;
    if (!closed) open.push_back(name);
  }
  return open.empty();
}

}  // namespace passband
