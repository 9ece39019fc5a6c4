// The files of expected values that lie beside the tests.
#pragma once
#include <string>

namespace passband {

// Path of tests/golden/NAME, wherever the tests are run from.
std::string golden_file(const std::string& name);

}  // namespace passband
