// Text for people: the names a message can offer for a mistyped one, quoting, durations.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace passband {

// Levenshtein distance with transpositions of neighbours counted as one edit (optimal string
// alignment).
int64_t edit_distance(std::string_view a, std::string_view b);

// The candidates that `name` may have meant, best first: at most `limit`, and only those within a
// third of its length (at least one edit, never all of it), letter case ignored, or that begin with
// it; where some are one edit away, these alone.
std::vector<std::string> nearest(std::string_view name, const std::vector<std::string>& candidates,
                                 size_t limit = 3);

// "; did you mean \"resnet50\" or \"resnext50\"?", or nothing when no candidate is near. To be
// appended to a message.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

// "a, b, c"
std::string join(const std::vector<std::string>& parts, std::string_view separator = ", ");

// "1 thread", "2 threads"
std::string counted(int64_t count, std::string_view noun);

// "45 s", "2:07", "1:02:33"
std::string format_duration(double seconds);

// `text` from outside (a file, a command line) made fit for a one-line message: in quotes, control
// characters as '?', at most 80 characters.
std::string quote(std::string_view text);

// The same without quotes and of another length: for what a library says of such text.
std::string one_line(std::string_view text, size_t longest = 300);

}  // namespace passband
