// The parts of the page, each in a file of its own. Every string from outside passes escape_xml;
// drawings come from our own writer.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/report/section.h"
#include "analysis/report/section_store.h"

namespace passband {

// Escaped running text: a number keeps its unit, "n = 5" stays on one line, and a hyphen before a
// number that starts a word becomes a minus sign.
std::string prose(std::string_view text);
std::string value_text(const ReportValue& value);
// The values of one key belong to different networks and stand together.
std::vector<std::vector<const ReportValue*>> by_key(const std::vector<ReportValue>& values);
// Opens a section with a small heading; `id` is also its anchor.
std::string small_section(std::string_view cls, std::string_view id, std::string_view heading);
std::string_view runs_title(const ReportHeader& header);
// "01"
std::string section_number(int number);

// Title, the table of claims x networks, and what the run is in a sentence.
void append_masthead(std::string& out, const ReportHeader& header,
                     const std::vector<StoredSection>& sections);
// The settings of a run; of several, those that differ.
void append_runs(std::string& out, const ReportHeader& header);
// Pictures of the page, each once: a rule of its style for every one.
class PagePictures {
 public:
  std::string class_of(const std::string& address);  // "p3"
  std::string rules() const;

 private:
  std::map<std::string, size_t> numbers_;
};
// What sections are numbered and drawn with.
struct PageState {
  int section = 0, figure = 0;
  bool several_runs = false;
  PagePictures pictures = {};
};
void append_section(std::string& out, const StoredSection& section, PageState& state);
void append_glossary(std::string& out);

}  // namespace passband
