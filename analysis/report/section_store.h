// Sections as they lie on disk: text, values and drawn figures in one JSON file each, so that a
// later call can add to a report without computing anything again.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "analysis/report/section.h"
#include "analysis/report/svg.h"
#include "analysis/report/table.h"

namespace passband {

struct StoredFigure {
  std::string name = {}, title = {}, alt = {};
  plot::PageDrawings drawings = {};
  // of a grid of pictures
  int columns = 1;
  std::vector<std::string> column_titles = {}, row_titles = {};
  std::string overlay_value = {};
  std::string hover = {};  // JSON for the read-out; empty for picture grids
  plot::Table table = {};  // the first rows, rounded
  size_t table_rows = 0;   // of the whole table
};

struct StoredSection {
  std::string name = {}, title = {}, question = {}, reading = {}, finding = {}, key = {};
  bool applies = true;
  bool stale = false;  // of this page, not stored: see ReportHeader::stale
  std::vector<std::string> caveats = {};
  std::vector<ReportValue> values = {};
  std::vector<ReportClaim> claims = {};
  std::vector<StoredFigure> figures = {};
  std::vector<std::string> arrays = {};
};

StoredSection drawn(const Section& section);

std::string section_to_json(const StoredSection& section);

// Throws DataError naming `path` when the text is not the stored section that the file is named
// after. Names are then fit for files and anchors, and drawings are plain (is_plain_drawing).
StoredSection section_from_json(const std::string& text, const std::string& path);

// Whether a section, figure or array may be called so: a-z, 0-9, - and _, because it names a file.
bool names_a_file(const std::string& name);

// What an earlier summary says of the calls that made it: commands and runs. Nothing where the text
// is not such a summary.
struct EarlierCalls {
  std::vector<std::string> commands = {};
  std::vector<RunCard> runs = {};
};
std::optional<EarlierCalls> earlier_calls(const std::string& summary);

// The machine-readable summary: title, commands, headline values, and each section's finding and
// values; those of several networks also as networks.LABEL.KEY, intervals as intervals.LABEL.KEY,
// and claims with what each network's value says of them.
std::string summary_json(const ReportHeader& header, const std::vector<StoredSection>& sections);

}  // namespace passband
