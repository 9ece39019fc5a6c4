#include "models/command_words.h"

#include <algorithm>
#include <cctype>

#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

bool is_negative_number(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && (std::isdigit(word[1]) != 0 || word[1] == '.');
}

[[noreturn]] void refuse_empty(const std::string& before) {
  const std::string option = before.substr(0, before.find('='));
  if (option.starts_with("--"))
    throw UsageError(option + ": is empty; give it a value, or leave it out");
  throw UsageError(concat_text("an empty word stands ",
                               before.empty() ? "first" : "after " + quote(before),
                               "; leave it out"));
}

}  // namespace

std::vector<std::string> reversed_words(int argc, const char* const* argv) {
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.empty()) refuse_empty(words.empty() ? "" : words.back());
    if (word.starts_with("--") && word.ends_with('=')) refuse_empty(word);
    if (is_negative_number(word) && !words.empty() && words.back().starts_with("--"))
      words.back() += "=" + word;
    else words.push_back(word);
  }
  std::ranges::reverse(words);
  return words;
}

}  // namespace passband
