# The libraries that Passband links. Configuring reads this file, and so does the installed package,
# whose static libraries leave them to whoever links.

# passband_find_library(NAME PACKAGE LIBRARY [HEADER]): the target passband::NAME for a library of
# which no CMake package is asked. (oneDNN's own demands the OpenCL development files, which Debian
# only recommends.) Where LIBRARY is "", the header does. What is missing is in PASSBAND_MISSING.
function(passband_find_library name package library)
  set(linked "")
  if(library)
    find_library(PASSBAND_${name}_LIBRARY ${library})
    mark_as_advanced(PASSBAND_${name}_LIBRARY)
    set(linked ${PASSBAND_${name}_LIBRARY})
  endif()
  set(include "")
  if(ARGN)
    find_path(PASSBAND_${name}_INCLUDE ${ARGN} PATH_SUFFIXES lapacke)  # Fedora's place of lapacke.h
    mark_as_advanced(PASSBAND_${name}_INCLUDE)
    set(include ${PASSBAND_${name}_INCLUDE})
  endif()
  if((library AND NOT linked) OR (ARGN AND NOT include))
    list(APPEND PASSBAND_MISSING "${name} (${package})")
    set(PASSBAND_MISSING ${PASSBAND_MISSING} PARENT_SCOPE)
  elseif(NOT TARGET passband::${name})
    add_library(passband::${name} INTERFACE IMPORTED GLOBAL)
    target_include_directories(passband::${name} SYSTEM INTERFACE ${include})
    target_link_libraries(passband::${name} INTERFACE ${linked})
  endif()
endfunction()

# passband_find_shared(NAME...): find_package, its targets known in the whole build, as with the
# keyword GLOBAL from CMake 3.24 on.
macro(passband_find_shared)
  get_directory_property(passband_before IMPORTED_TARGETS)
  find_package(${ARGV})
  get_directory_property(passband_found IMPORTED_TARGETS)
  list(REMOVE_ITEM passband_found ${passband_before})
  if(passband_found)
    set_target_properties(${passband_found} PROPERTIES IMPORTED_GLOBAL TRUE)
  endif()
endmacro()

# passband_find_package(NAME PACKAGE): a CMake package. Where it is missing, PASSBAND_MISSING tells.
macro(passband_find_package name package)
  passband_find_shared(${name} QUIET)
  if(NOT ${name}_FOUND)
    list(APPEND PASSBAND_MISSING "${name} (${package})")
  endif()
endmacro()

set(PASSBAND_MISSING "")
passband_find_package(OpenMP g++)
passband_find_package(Threads libc6-dev)
passband_find_package(fmt libfmt-dev)
