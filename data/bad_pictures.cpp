#include "data/bad_pictures.h"

#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr size_t kNamedPictures = 1000;  // in one message

}  // namespace

void refuse_bad_pictures(const std::vector<BadPicture>& bad, const std::string& what) {
  constexpr const char* way_out =
      "; mend or remove what is unreadable, or leave it out with --skip-bad-pictures";
  const BadPicture& first = bad.front();
  if (bad.size() == 1)
    throw DataError(concat_text(first.name, ": ", what, ": ", first.reason, way_out));
  std::vector<std::string> named;
  for (const BadPicture& one : bad) {
    if (named.size() == kNamedPictures) break;
    named.push_back(concat_text(one.name, " (", one.reason, ")"));
  }
  if (bad.size() > named.size())
    named.push_back(concat_text("and ", bad.size() - named.size(), " more"));
  throw DataError(concat_text(bad.size(), " ", what, "s: ", join(named), way_out));
}

}  // namespace passband
