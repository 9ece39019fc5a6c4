# The CUDA backend, when there is something to build it from. Sets PASSBAND_CUDA_FOUND,
# PASSBAND_CUDA_SOURCES and PASSBAND_CUDA_LIBRARIES and makes the target passband_cuda: how to
# compile them, PASSBAND_HAS_CUDA (and PASSBAND_HAS_CUDNN, the version).

add_library(passband_cuda INTERFACE)
set(PASSBAND_CUDA_LIBRARIES "")
file(GLOB_RECURSE PASSBAND_CUDA_SOURCES CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/tensor/*.cu ${PROJECT_SOURCE_DIR}/tensor/cuda/*.cpp)
set(PASSBAND_CUDA_FOUND OFF)

# A macro, so that its return() leaves this file: without CUDA the rest has nothing to do.
macro(passband_no_cuda why how)
  if(PASSBAND_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PASSBAND_CUDA=ON, but ${why} (${how}).")
  endif()
  passband_feature(CUDA OFF "${why}" "${how}")
  passband_feature(cuDNN OFF "needs CUDA" "see CUDA")
  return()
endmacro()

# A container may get just the fourth GPU of its host.
file(GLOB PASSBAND_GPUS "/dev/nvidia[0-9]*")

if(PASSBAND_CUDA STREQUAL "OFF")
  passband_no_cuda("PASSBAND_CUDA=OFF" "-DPASSBAND_CUDA=AUTO")
elseif(PASSBAND_CUDA STREQUAL "AUTO" AND NOT PASSBAND_GPUS)
  passband_no_cuda("no GPU here" "cmake --preset cuda")
endif()

# The toolkit's installer does not put nvcc on the path.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(PASSBAND_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  mark_as_advanced(PASSBAND_NVCC)
  if(PASSBAND_NVCC)
    set(CMAKE_CUDA_COMPILER ${PASSBAND_NVCC})
  endif()
endif()
# `native` asks the driver and fails to generate where there is no GPU, so the default names
# architectures: machine code for A100 and H100/H200, and PTX for whatever comes after them.
# 90a is 90 and the instructions that later architectures do not have (products by warp groups).
set(default_architectures 80-real 90a-real 90-virtual)
if("native" IN_LIST CMAKE_CUDA_ARCHITECTURES AND NOT PASSBAND_GPUS)
  passband_no_cuda("CMAKE_CUDA_ARCHITECTURES=native needs a GPU" "-DCMAKE_CUDA_ARCHITECTURES=90")
elseif(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES ${default_architectures})
endif()

include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  passband_no_cuda("no nvcc" "install the CUDA toolkit 12.4 or later")
endif()
enable_language(CUDA)
passband_find_shared(CUDAToolkit QUIET)
if(NOT CUDAToolkit_FOUND OR CUDAToolkit_VERSION VERSION_LESS 12.4)
  passband_no_cuda("toolkit ${CUDAToolkit_VERSION} is too old"
    "install the CUDA toolkit 12.4 or later")
endif()

set(PASSBAND_CUDA_FOUND ON)
set(archs "")
foreach(arch IN LISTS CMAKE_CUDA_ARCHITECTURES)
  string(REGEX REPLACE "-real$" "" arch "sm_${arch}")
  string(REGEX REPLACE "^sm_(.*)-virtual$" "PTX of \\1" arch "${arch}")
  list(APPEND archs "${arch}")
endforeach()
list(JOIN archs ", " archs)
if(CMAKE_CUDA_ARCHITECTURES STREQUAL default_architectures)
  message(STATUS "CUDA: for ${archs}; "
    "-DCMAKE_CUDA_ARCHITECTURES=native builds for the GPU of this machine alone")
endif()
passband_feature(CUDA ON "${CUDAToolkit_VERSION} for ${archs}" "-DPASSBAND_CUDA=OFF")
target_compile_options(passband_cuda INTERFACE
  $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr --extended-lambda
    -Xcompiler=-Wall,-Wextra,-fopenmp>)
target_compile_definitions(passband_cuda INTERFACE
  PASSBAND_HAS_CUDA=1 PASSBAND_CUDA_ARCHITECTURES="${archs}")
if("${CMAKE_CUDA_ARCHITECTURES}" MATCHES "90a")
  target_compile_definitions(passband_cuda INTERFACE PASSBAND_HAS_SM90A=1)
endif()
set(PASSBAND_CUDA_LIBRARIES CUDA::cudart CUDA::cublas CUDA::cublasLt CUDA::cufft)

# The packages of Python bring the library by its full name alone.
find_path(PASSBAND_CUDNN_INCLUDE cudnn_version.h
  HINTS ${CUDNN_ROOT} ENV CUDNN_ROOT ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
find_library(PASSBAND_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 NAMES_PER_DIR
  HINTS ${CUDNN_ROOT} ENV CUDNN_ROOT ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64)
mark_as_advanced(PASSBAND_CUDNN_INCLUDE PASSBAND_CUDNN_LIBRARY)
if(PASSBAND_CUDNN_INCLUDE AND PASSBAND_CUDNN_LIBRARY)
  file(STRINGS ${PASSBAND_CUDNN_INCLUDE}/cudnn_version.h lines
    REGEX "define CUDNN_(MAJOR|MINOR|PATCHLEVEL) +[0-9]")
  list(TRANSFORM lines REPLACE "[^0-9]*([0-9]+).*" "\\1")
  list(JOIN lines "." version)
  target_include_directories(passband_cuda SYSTEM INTERFACE ${PASSBAND_CUDNN_INCLUDE})
  target_compile_definitions(passband_cuda INTERFACE PASSBAND_HAS_CUDNN="${version}")
  list(APPEND PASSBAND_CUDA_LIBRARIES ${PASSBAND_CUDNN_LIBRARY})
  passband_feature(cuDNN ON "${version}" "-DPASSBAND_CUDNN_LIBRARY=OFF")
else()
  passband_feature(cuDNN OFF "not found" "install cuDNN 9, or -DCUDNN_ROOT=DIR")
endif()
