# oneDNN, an engine of convolutions to compare with (--conv onednn). Sets PASSBAND_ONEDNN_FOUND; the
# target passband::oneDNN is empty where there is none.
passband_switch(ONEDNN "Build the engine oneDNN")

set(PASSBAND_ONEDNN_FOUND OFF)
if(NOT PASSBAND_ONEDNN STREQUAL "OFF")
  set(missing_before ${PASSBAND_MISSING})
  passband_find_library(oneDNN libdnnl-dev dnnl oneapi/dnnl/dnnl.hpp)
  if(TARGET passband::oneDNN)
    set(PASSBAND_ONEDNN_FOUND ON)
  elseif(PASSBAND_ONEDNN STREQUAL "AUTO")
    set(PASSBAND_MISSING ${missing_before})
  endif()
endif()
if(NOT TARGET passband::oneDNN)
  add_library(passband::oneDNN INTERFACE IMPORTED GLOBAL)
endif()

function(passband_onednn_feature)
  if(PASSBAND_ONEDNN_FOUND)
    file(STRINGS ${PASSBAND_oneDNN_INCLUDE}/oneapi/dnnl/dnnl_version.h lines
      REGEX "_VERSION_(MAJOR|MINOR|PATCH) +[0-9]")
    list(TRANSFORM lines REPLACE "[^0-9]*([0-9]+).*" "\\1")
    list(JOIN lines "." version)
    passband_feature(oneDNN ON "${version}, for --conv onednn" "-DPASSBAND_ONEDNN=OFF")
  elseif(PASSBAND_ONEDNN STREQUAL "AUTO")
    passband_feature(oneDNN OFF "not found, only --conv onednn needs it" "apt install libdnnl-dev")
  else()
    passband_feature(oneDNN OFF "PASSBAND_ONEDNN=OFF" "-DPASSBAND_ONEDNN=ON")
  endif()
endfunction()

# passband_onednn_sources(LIST): takes out of a list of sources what this build has no oneDNN for,
# or what stands in for it.
function(passband_onednn_sources list)
  if(PASSBAND_ONEDNN_FOUND)
    list(FILTER ${list} EXCLUDE REGEX "/onednn_absent_cpu\\.cpp$")
  else()
    list(FILTER ${list} EXCLUDE REGEX "/(onednn|[a-z]+_onednn[a-z_]*)\\.cpp$")
  endif()
  set(${list} ${${list}} PARENT_SCOPE)
endfunction()
