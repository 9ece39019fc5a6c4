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

# A digest of the sources that compute and draw sections of a report (analysis/study/source_digest.h
# says which), made when one of them has changed.
file(GLOB_RECURSE section_sources RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
  analysis/*.cpp analysis/*.h)
list(FILTER section_sources EXCLUDE REGEX "^analysis/(explore/|report/page|[a-z_]+\\.)")
list(SORT section_sources)
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/source_digest.cpp
  COMMAND ${CMAKE_COMMAND} "-DFILES=${section_sources}"
    -DOUT=${PROJECT_BINARY_DIR}/source_digest.cpp
    -P ${PROJECT_SOURCE_DIR}/.cmake/source_digest.cmake
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  DEPENDS ${section_sources} .cmake/source_digest.cmake
  COMMENT "Digesting the sources of sections" VERBATIM)
target_sources(passband_analysis PRIVATE ${PROJECT_BINARY_DIR}/source_digest.cpp)
set_source_files_properties(${PROJECT_BINARY_DIR}/source_digest.cpp PROPERTIES
  SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
