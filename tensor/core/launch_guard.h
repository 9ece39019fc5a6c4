// A process that stays between a launcher and the one that works.
#pragma once

namespace passband {

// Hydra, MPICH's launcher, kills all processes when one of them dies by a signal, before any can
// save or say which it was. So the one that it has started stays behind and lets another go on from
// here: it passes signals on, ends as that one ends, and keeps a violent death to itself until the
// others have ended all, half a minute at most. Before any thread is started.
void leave_guard_behind();

}  // namespace passband
