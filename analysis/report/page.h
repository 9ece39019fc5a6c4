// The report as one HTML page that needs nothing but itself.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "analysis/report/section.h"
#include "analysis/report/section_store.h"

namespace passband {

// The page: masthead with headline numbers, run card, contents, sections, commands. Style and
// script are inline and allowed by their hashes; everything else is forbidden by the content
// security policy.
std::string render_page(const ReportHeader& header, const std::vector<StoredSection>& sections);

// The page's style sheet, without the figures' theme rules, and its script. Constants.
std::string_view page_style();
std::string_view page_script();

}  // namespace passband
