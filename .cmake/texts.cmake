# passband_texts(LAYER HEADER FUNCTION ROW FILES...): files as texts of a layer, so that programs
# find them wherever they lie and are started from. HEADER declares
# `const std::vector<ROW>& FUNCTION()`; a row is the file's name, without .toml, and its text.
function(passband_texts layer header function row)
  set(rows "")
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    get_filename_component(name ${file} NAME)
    string(REGEX REPLACE "\\.toml$" "" name ${name})
    file(READ ${file} text)
    # A list of CMake would lose brackets and semicolons; a literal may hold so much.
    string(APPEND rows "    {\"${name}\", R\"~~~(${text})~~~\"},\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${function}.cpp CONTENT [=[
// Made of the project's files by .cmake/texts.cmake.
#include "@header@"

namespace passband {

const std::vector<@row@>& @function@() {
  static const std::vector<@row@> all = {
@rows@  };
  return all;
}

}  // namespace passband
]=] @ONLY)
  target_sources(${layer} PRIVATE ${PROJECT_BINARY_DIR}/${function}.cpp)
endfunction()

file(GLOB recipe_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/experiments/recipes/*.toml)
passband_texts(passband_train train/recipes.h built_in_recipes BuiltInRecipe ${recipe_files})

file(GLOB page_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/analysis/explore/page/*)
passband_texts(passband_analysis analysis/explore/explorer.h page_files PageFile ${page_files})

file(GLOB live_page_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/train/live/page/*)
passband_texts(passband_train train/live/live_view.h live_files LiveFile ${live_page_files}
  ${PROJECT_SOURCE_DIR}/analysis/explore/page/dom.js)
