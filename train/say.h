// Lines for the person at the terminal, who may have closed it: what cannot be printed is dropped.
#pragma once
#include <string>

namespace passband {

// Text on stderr, as it is.
void say(const std::string& text);
// A line on stdout.
void print_line(const std::string& line);

}  // namespace passband
