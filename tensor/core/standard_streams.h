// The three descriptors that a program is started with, and what is printed on them.
#pragma once

namespace passband {

// To be called first in a program. A descriptor of 0 to 2 that is closed becomes /dev/null, so that
// no file is ever opened under its number and written into by a line of progress. What cannot be
// printed on stderr (a full disk, a terminal that closed) is dropped from then on: it ends nothing.
void prepare_standard_streams();

// Where memory runs out and no exception may leave (a destructor, a thread), `line` is printed and
// the program ends with code 5 instead of by a signal.
void end_without_memory_by(const char* line);

// For a program whose product is what it prints: `code`, or 1 and a line on stderr when not all of
// stdout could be written.
int code_after_output(int code);

}  // namespace passband
