# The recipes of experiments/recipes/ as texts of the `train` layer, so that programs find them by
# name wherever they lie and are started from.
file(GLOB recipe_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/experiments/recipes/*.toml)
set(recipe_rows "")
foreach(file IN LISTS recipe_files)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND recipe_rows "    {\"${name}\", R\"~~~(${text})~~~\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/recipe_texts.cpp CONTENT [=[
// Made of experiments/recipes/ by .cmake/recipes.cmake.
#include "train/recipes.h"

namespace passband {

const std::vector<BuiltInRecipe>& built_in_recipes() {
  static const std::vector<BuiltInRecipe> all = {
@recipe_rows@  };
  return all;
}

}  // namespace passband
]=] @ONLY)
target_sources(passband_train PRIVATE ${PROJECT_BINARY_DIR}/recipe_texts.cpp)
