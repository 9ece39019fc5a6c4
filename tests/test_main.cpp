// The doctest main shared by every test binary, and where the golden files lie.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "tests/golden_file.h"

namespace passband {

std::string golden_file(const std::string& name) { return PASSBAND_GOLDEN_DIR "/" + name; }

}  // namespace passband
