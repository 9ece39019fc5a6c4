// Modules that a program loads when it needs them, so that it runs where their libraries are not.
#pragma once
#include <filesystem>

namespace passband {

// The module of this file name beside the running program, or beside its folder; empty if it is in
// neither place.
std::filesystem::path find_program_module(const char* name);

}  // namespace passband
