// Starts the processes of a program on this machine.
#pragma once
#include <cstdint>
#include <string>

namespace passband {

// mpirun, or mpiexec, in PATH; empty where there is none.
std::string find_launcher();

// Replaces this process by `count` of the program with the same arguments, by mpirun, each with its
// part of the processor's threads. Throws UsageError where that can not be.
[[noreturn]] void launch_processes(int64_t count, char** argv);

// Gives this process its part of a host that it shares with others, where the launcher has not
// bound it to cores and nobody has said how many threads it may use. A remark, or nothing.
std::string share_threads();

}  // namespace passband
