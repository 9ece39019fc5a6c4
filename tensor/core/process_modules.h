// The modules by which processes reach each other, and what a launcher says in the environment.
#pragma once
#include "tensor/core/collective_backend.h"

namespace passband {

// Of the processes that mpirun or srun has started with this one; null where it is alone. Throws
// UsageError where there is no module for that launcher.
CollectiveBackend* launched_backend();

}  // namespace passband
