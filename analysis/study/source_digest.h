// Which sources this program computes and draws sections with.
#pragma once
#include <string_view>

namespace passband {

// 16 digits of the SHA-256 of the sources of analyses, figures and what both use; the page around
// the sections, the explorer and the command line are not among them. Another program's sections
// may be computed or drawn otherwise: they are made anew.
std::string_view source_digest();

}  // namespace passband
