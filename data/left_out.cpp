#include "data/left_out.h"

#include <algorithm>

#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr size_t kShownNames = 3;

}  // namespace

void LeftOut::add(std::string_view reason, const std::filesystem::path& name, int64_t count) {
  auto found = std::ranges::find(reasons_, reason, &Reason::text);
  if (found == reasons_.end())
    found = reasons_.insert(reasons_.end(), {.text = std::string(reason)});
  found->count += count;
  if (found->names.size() <= kShownNames) found->names.push_back(name.string());
}

std::string LeftOut::text() const {
  std::vector<std::string> parts;
  for (const Reason& reason : reasons_) {
    std::vector<std::string> names = reason.names;
    if (names.size() > kShownNames) names.back() = "...";
    parts.push_back(concat_text(reason.text, ": ", reason.count, " (", join(names), ")"));
  }
  return join(parts, "; ");
}

}  // namespace passband
