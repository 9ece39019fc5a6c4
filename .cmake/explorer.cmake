# The explorer's scripts, style sheet and body, analysis/explore/page/, as texts of the `analysis`
# layer.
file(GLOB explorer_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/analysis/explore/page/*)
set(explorer_rows "")
foreach(file IN LISTS explorer_files)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  get_filename_component(name ${file} NAME)
  file(READ ${file} text)
  # A list of CMake would lose brackets and semicolons; a literal may hold so much.
  string(APPEND explorer_rows "    {\"${name}\", R\"~~~(${text})~~~\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/explorer_files.cpp CONTENT [=[
// Made of analysis/explore/page/ by .cmake/explorer.cmake.
#include "analysis/explore/explorer.h"

namespace passband {

const std::vector<PageFile>& page_files() {
  static const std::vector<PageFile> all = {
@explorer_rows@  };
  return all;
}

}  // namespace passband
]=] @ONLY)
target_sources(passband_analysis PRIVATE ${PROJECT_BINARY_DIR}/explorer_files.cpp)
