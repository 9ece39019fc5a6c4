# NCCL, by which GPUs of several processes add up their gradients: a module beside the programs,
# which load it when several train on GPUs. It needs CUDA's headers, no compiler of CUDA, and no GPU
# to be built.
passband_switch(NCCL "Build the module for NCCL")

if(PASSBAND_NCCL STREQUAL "OFF")
  passband_feature(NCCL OFF "PASSBAND_NCCL=OFF" "-DPASSBAND_NCCL=AUTO")
else()
  set(places ${NCCL_ROOT} $ENV{NCCL_ROOT} ${CUDAToolkit_INCLUDE_DIRS} $ENV{CUDA_PATH}
    /usr/local/cuda)
  find_path(PASSBAND_NCCL_INCLUDE nccl.h HINTS ${places} PATH_SUFFIXES include)
  find_path(PASSBAND_CUDA_RUNTIME_INCLUDE cuda_runtime.h HINTS ${places} PATH_SUFFIXES include)
  # The packages of Python bring the library by its full name alone.
  find_library(PASSBAND_NCCL_LIBRARY NAMES nccl libnccl.so.2 NAMES_PER_DIR HINTS ${places}
    PATH_SUFFIXES lib lib64)
  mark_as_advanced(PASSBAND_NCCL_INCLUDE PASSBAND_CUDA_RUNTIME_INCLUDE PASSBAND_NCCL_LIBRARY)
  if(PASSBAND_NCCL_INCLUDE AND PASSBAND_CUDA_RUNTIME_INCLUDE AND PASSBAND_NCCL_LIBRARY)
    file(STRINGS ${PASSBAND_NCCL_INCLUDE}/nccl.h lines
      REGEX "define NCCL_(MAJOR|MINOR|PATCH) +[0-9]")
    list(TRANSFORM lines REPLACE "[^0-9]*([0-9]+).*" "\\1")
    list(JOIN lines "." version)
    passband_module(nccl tensor/nccl/module.cpp
      INCLUDES ${PASSBAND_NCCL_INCLUDE} ${PASSBAND_CUDA_RUNTIME_INCLUDE}
      USES ${PASSBAND_NCCL_LIBRARY})
    # every symbol that the module takes is one of the library's
    target_link_options(passband_nccl PRIVATE LINKER:--no-undefined)
    passband_feature(NCCL ON "${version}" "-DPASSBAND_NCCL=OFF")
  elseif(PASSBAND_NCCL STREQUAL "ON")
    message(FATAL_ERROR "PASSBAND_NCCL=ON: NCCL or CUDA's headers were not found. Install "
      "libnccl-dev, or name a folder by -DNCCL_ROOT=DIR.")
  else()
    passband_feature(NCCL OFF "not found, one GPU trains" "install libnccl-dev, or -DNCCL_ROOT=DIR")
  endif()
endif()
