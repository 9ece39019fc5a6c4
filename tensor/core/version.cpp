#include "tensor/core/version.h"

namespace passband {

const char* version() { return PASSBAND_VERSION; }

}  // namespace passband
