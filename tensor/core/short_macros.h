// Short names of macros, for the project's sources alone: headers write the long ones, because
// whoever includes them has macros of their own (in a test file, CHECK is doctest's).
#pragma once

#define CHECK PASSBAND_CHECK
#define ON_DEVICE PASSBAND_ON_DEVICE
#define DISPATCH PASSBAND_DISPATCH
#define LEVEL_BEGIN PASSBAND_LEVEL_BEGIN
#define LEVEL_END PASSBAND_LEVEL_END
