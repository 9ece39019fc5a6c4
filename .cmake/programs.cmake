# The programs, in the build folder. PASSBAND_EMULATED_PROGRAMS: those that the tests link again,
# with the emulator.

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

file(GLOB bench_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/experiments/bench/*.cpp)
passband_program(train passband_train train/main.cpp train/command_line.cpp)
passband_program(analyze passband_analysis analysis/main.cpp analysis/command_line.cpp)
passband_program(bench passband ${bench_sources})
set_target_properties(passband_main_bench PROPERTIES UNITY_BUILD ${PASSBAND_UNITY})
file(GLOB scale_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/experiments/scale/*.cpp)
passband_program(scale passband_train ${scale_sources})
passband_program(import_cifar_png passband_data data/import_cifar_png.cpp)
set(PASSBAND_EMULATED_PROGRAMS train analyze bench)
