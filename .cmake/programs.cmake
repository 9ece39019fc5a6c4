# The programs and their modules, in the build folder. PASSBAND_EMULATED_PROGRAMS: those that the
# tests link again, with the emulator.

# passband_program(NAME LIBRARY SOURCE...): build/NAME. The target `programs` builds them all. Its
# objects are the same on every backend.
add_custom_target(programs)
function(passband_program name library)
  add_library(passband_main_${name} OBJECT ${ARGN})
  passband_own(passband_main_${name} ${library} CLI11::CLI11 fmt::fmt)
  add_executable(${name} $<TARGET_OBJECTS:passband_main_${name}>)
  target_link_libraries(${name} PRIVATE ${library} passband_options OpenMP::OpenMP_CXX fmt::fmt)
  add_dependencies(programs ${name})
endfunction()

# passband_module(NAME SOURCE INCLUDES folders... USES libraries...): build/passband_NAME.so, which
# programs load when they need it, so that they run where what it stands on is missing. One of the
# target `programs`. What these have of the same names stays theirs.
function(passband_module name source)
  cmake_parse_arguments(arg "" "" "INCLUDES;USES" ${ARGN})
  set(target passband_${name})
  add_library(${target} MODULE ${source})
  target_include_directories(${target} SYSTEM PRIVATE ${arg_INCLUDES})
  target_link_libraries(${target} PRIVATE passband_options ${arg_USES})
  target_compile_options(${target} PRIVATE -fvisibility=hidden)
  set_target_properties(${target} PROPERTIES PREFIX ""
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
  add_dependencies(programs ${target})
endfunction()

file(GLOB bench_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/experiments/bench/*.cpp)
passband_program(train passband_train train/main.cpp train/command_line.cpp)
passband_program(analyze passband_analysis analysis/main.cpp analysis/command_line.cpp)
passband_program(bench passband ${bench_sources})
set_target_properties(passband_main_bench PROPERTIES UNITY_BUILD ${PASSBAND_UNITY})
file(GLOB scale_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/experiments/scale/*.cpp)
passband_program(scale passband_train ${scale_sources})
passband_program(import_cifar_png passband_data data/import_cifar_png.cpp)
set(PASSBAND_EMULATED_PROGRAMS train analyze bench)
