// The words of a command line as CLI11 wants them, for the programs that read one.
#pragma once
#include <string>
#include <vector>

namespace passband {

// Backwards, without the program's own name; "--threads -1" as "--threads=-1", since CLI11 takes a
// number below 0 for an option. Throws UsageError for an empty word ('--pictures ""', as a shell
// makes of an unset variable): what stands for nothing would be taken for what was not given.
std::vector<std::string> reversed_words(int argc, const char* const* argv);

}  // namespace passband
