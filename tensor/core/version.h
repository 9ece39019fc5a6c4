// The version of Passband.
#pragma once

namespace passband {

// "0.2.0"
const char* version();

}  // namespace passband
