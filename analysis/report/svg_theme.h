// The style rules of figures, for a drawing that stands alone and for a page that holds many.
#pragma once
#include <string>
#include <string_view>

namespace passband::plot {

// CSS: the theme variables on the elements that `root` selects (light, dark by preference, dark by
// data-theme), the rules of the text and line classes, and one stroke and fill class per series
// colour.
std::string theme_rules(std::string_view root);

// Style rules that inline drawings need once per page: the theme variables on :root, for both
// themes, and the classes.
std::string svg_theme();

}  // namespace passband::plot
