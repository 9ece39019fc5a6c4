// The report of a run: one self-contained page, its figures as SVG and CSV, and a machine-readable
// summary. Sections accumulate: what an earlier call wrote into the same directory stays until a
// section of that name replaces it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "analysis/report/section.h"

namespace passband {

class Report {
 public:
  explicit Report(ReportHeader header);

  // Takes a finished section; one of the same name replaces the earlier one. Throws Error on
  // malformed figures.
  void add(Section section);

  // Writes index.html, figures/NAME.svg and .csv, data/NAME.npy, sections/NAME.json and
  // summary.json into `directory` (made if missing), each file whole or not at all, under a lock
  // that other processes wait for. Sections found there and not added here are kept, and so are the
  // commands and runs of earlier calls; damaged ones are passed over. Cheap to call after every
  // section: one that went into this directory before is not drawn again.
  void write(const std::string& directory);

 private:
  ReportHeader header_;
  std::vector<Section> sections_;
  std::vector<std::string> written_to_;  // parallel: the directory a section was last written into
};

// Names of the whole sections that `directory` holds.
std::vector<std::string> stored_sections(const std::string& directory);

// A figure of a stored section, as the file figures/NAME.svg.
struct StoredPicture {
  std::string section, title, alt, svg;
};

// The figures of the whole sections that `directory` holds, of sections in the order of `order`,
// others behind; those of more than `most_each` bytes are left out, and what would make more than
// `most` of them all.
std::vector<StoredPicture> stored_pictures(const std::string& directory,
                                           const std::vector<std::string>& order, size_t most_each,
                                           size_t most);

// What `directory` holds and can not be read, as one line each: "sections/cka.json: not a stored
// section (no JSON)".
struct DamagedPiece {
  std::string section;  // its name; empty: the summary
  std::string reason;
};
std::vector<DamagedPiece> damaged_pieces(const std::string& directory);

// The key a section was stored with, when `directory` holds a whole section of that name: the
// analysis may be skipped.
std::optional<std::string> stored_key(const std::string& directory, const std::string& section);

}  // namespace passband
