// A check that stored SVG is a drawing of this program: it goes into a page as it is.
#pragma once
#include <string_view>

namespace passband {

// Only elements and attributes that our writer uses, all of them closed; no script, no handler, no
// address but pictures inside the text and names on the page.
bool is_plain_drawing(std::string_view svg);

}  // namespace passband
