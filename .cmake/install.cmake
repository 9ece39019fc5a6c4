# What `cmake --install` puts where: lib/, include/passband/, and the package that
# find_package(passband) reads.
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/passband)
install(TARGETS passband passband_tensor passband_nn passband_models passband_data passband_train
  passband_report passband_analysis EXPORT passband)
install(EXPORT passband NAMESPACE passband:: FILE passband-targets.cmake
  DESTINATION ${package_folder})
set(package ${PROJECT_BINARY_DIR}/passband-config)
configure_package_config_file(.cmake/passband-config.cmake.in ${package}.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${package}-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${package}.cmake ${package}-version.cmake .cmake/dependencies.cmake
  DESTINATION ${package_folder})

# Backends, kernels and what operations are made of are nobody's business outside.
set(inner "tensor/(cpu|cuda|ops/conv)$|short_macros\\.h$|tensor/ops/.*_(kernels|columns|geometry")
string(APPEND inner "|onednn|image|first|composed|rules|functors|math|pixels|products)\\.h$")
install(FILES passband.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/passband)
install(DIRECTORY tensor nn models data train analysis
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/passband
  FILES_MATCHING PATTERN "*.h" REGEX "${inner}" EXCLUDE)
