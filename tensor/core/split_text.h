// Text cut into pieces. (std::getline of a stream takes memory that runs out for the end of it.)
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace passband {

// The pieces that end with `end` or with the text: of "a,,b," they are "a", "" and "b".
std::vector<std::string> split_text(std::string_view text, char end);

}  // namespace passband
