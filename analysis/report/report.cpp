// Writing a report directory, keeping the sections that are already there.
#include "analysis/report/report.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <string_view>

#include "analysis/report/file_lock.h"
#include "analysis/report/npy.h"
#include "analysis/report/page.h"
#include "analysis/report/section_store.h"
#include "analysis/report/svg.h"
#include "analysis/report/table.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"

namespace passband {
namespace {

namespace fs = std::filesystem;

void check_name(std::string_view what, const std::string& name) {
  CHECK(names_a_file(name), what, " name '", name,
        "': use a-z, 0-9, - and _, because it names a file");
}

void make_directory(const fs::path& path) {
  std::error_code reason;
  fs::create_directories(path, reason);
  CHECK(!reason, "cannot make the directory ", path.string(), ": ", reason.message());
}

// Calls visit(path) for the file of each section.
template <class Visit> void for_section_files(const fs::path& report, Visit&& visit) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(report / "sections", none))
    if (entry.path().extension() == ".json") visit(entry.path());
}

// The sections that can be read.
std::vector<StoredSection> sections_in(const fs::path& report) {
  std::vector<StoredSection> sections;
  for_section_files(report, [&](const fs::path& file) {
    try {
      sections.push_back(section_from_json(read_file(file.string()), file.string()));
    } catch (const DataError&) {  // see damaged_pieces
    }
  });
  return sections;
}

bool shares_figure(const StoredSection& a, const StoredSection& b) {
  return std::ranges::any_of(a.figures, [&](const StoredFigure& figure) {
    return std::ranges::find(b.figures, figure.name, &StoredFigure::name) != b.figures.end();
  });
}

// A figure names files, so only one section may own it: of the new ones that is checked; an old
// section whose figure now belongs to another one goes.
void check_figures(const std::vector<StoredSection>& fresh) {
  std::map<std::string, std::string> owner;
  for (const StoredSection& section : fresh)
    for (const StoredFigure& figure : section.figures) {
      const auto [entry, is_new] = owner.emplace(figure.name, section.name);
      CHECK(is_new, "report: figure '", figure.name, "' is in section '", entry->second,
            "' and in section '", section.name, "'; give one another name");
    }
}

// Adds what earlier calls put into the report: their commands, and the runs that they compared.
ReportHeader with_earlier_calls(ReportHeader header, const fs::path& report) {
  const fs::path file = report / "summary.json";
  std::error_code none;
  if (!fs::is_regular_file(file, none)) return header;
  const EarlierCalls earlier = earlier_calls(read_file(file.string())).value_or(EarlierCalls{});
  std::vector<std::string> commands;
  for (const std::string& command : earlier.commands)
    if (std::ranges::find(header.commands, command) == header.commands.end())
      commands.push_back(command);
  header.commands.insert(header.commands.begin(), commands.begin(), commands.end());
  for (const RunCard& run : earlier.runs)
    if (std::ranges::find(header.runs, run.name, &RunCard::name) == header.runs.end())
      header.runs.push_back(run);
  return header;
}

void write_section(const fs::path& report, const Section& section, const StoredSection& stored) {
  for (const plot::Figure& figure : section.figures) {
    const fs::path stem = report / "figures" / figure.name;
    write_file_atomically(stem.string() + ".svg", plot::render_svg(figure));
    write_file_atomically(stem.string() + ".csv", plot::to_csv(plot::tidy_table(figure)));
  }
  for (const ReportArray& array : section.arrays)
    write_file_atomically((report / "data" / (array.name + ".npy")).string(),
                          encode_npy(array.values, array.shape));
  // Last, so that a section on disk always has its files.
  write_file_atomically((report / "sections" / (section.name + ".json")).string(),
                        section_to_json(stored));
}

}  // namespace

Report::Report(ReportHeader header) : header_(std::move(header)) {}

void Report::add(Section section) {
  check_name("section", section.name);
  for (const plot::Figure& figure : section.figures) plot::check(figure);
  for (const ReportArray& array : section.arrays) check_name("array", array.name);
  const auto same = std::find_if(sections_.begin(), sections_.end(),
                                 [&](const Section& s) { return s.name == section.name; });
  if (same == sections_.end()) {
    sections_.push_back(std::move(section));
    written_to_.emplace_back();
  } else {
    written_to_[static_cast<size_t>(same - sections_.begin())].clear();
    *same = std::move(section);
  }
}

void Report::write(const std::string& directory) {
  const fs::path report = directory;
  for (const char* part : {"figures", "data", "sections"}) make_directory(report / part);
  const FileLock lock(report / ".lock");

  std::vector<StoredSection> all = sections_in(report);
  // parallel to sections_; unnamed where the directory already holds it
  std::vector<StoredSection> fresh;
  for (size_t i = 0; i < sections_.size(); ++i) {
    const auto named = [&](const StoredSection& s) { return s.name == sections_[i].name; };
    const bool there = written_to_[i] == directory && std::any_of(all.begin(), all.end(), named);
    fresh.push_back(there ? StoredSection{} : drawn(sections_[i]));
    if (fresh[i].name.empty()) continue;
    std::erase_if(all,
                  [&](const StoredSection& s) { return named(s) || shares_figure(s, fresh[i]); });
  }
  check_figures(fresh);
  for (size_t i = 0; i < sections_.size(); ++i) {
    if (fresh[i].name.empty()) continue;
    write_section(report, sections_[i], fresh[i]);
    written_to_[i] = directory;
    all.push_back(fresh[i]);
  }
  for (StoredSection& section : all) {
    const auto same_name = [&](const Section& s) { return s.name == section.name; };
    section.stale = std::ranges::find(header_.stale, section.name) != header_.stale.end() &&
                    std::ranges::none_of(sections_, same_name);
  }
  std::ranges::sort(all, {}, [&](const StoredSection& section) {
    const auto place = std::ranges::find(header_.order, section.name) - header_.order.begin();
    return std::pair(place, section.name);
  });
  const ReportHeader header = with_earlier_calls(header_, report);
  write_file_atomically((report / "summary.json").string(), summary_json(header, all));
  write_file_atomically((report / "index.html").string(), render_page(header, all));
}

std::vector<std::string> stored_sections(const std::string& directory) {
  std::vector<std::string> names;
  for (const StoredSection& section : sections_in(directory)) names.push_back(section.name);
  return names;
}

std::vector<StoredPicture> stored_pictures(const std::string& directory,
                                           const std::vector<std::string>& order, size_t most_each,
                                           size_t most) {
  std::vector<StoredSection> sections = sections_in(directory);
  std::ranges::sort(sections, {}, [&](const StoredSection& section) {
    return std::pair(std::ranges::find(order, section.name) - order.begin(), section.name);
  });
  std::vector<StoredPicture> pictures;
  size_t bytes = 0;
  for (const StoredSection& section : sections)
    for (const StoredFigure& figure : section.figures) {
      const fs::path file = fs::path(directory) / "figures" / (figure.name + ".svg");
      std::error_code none;
      if (!fs::is_regular_file(file, none) || fs::file_size(file, none) > most_each) continue;
      std::string svg = read_file(file.string());
      if (bytes + svg.size() > most) continue;
      bytes += svg.size();
      pictures.push_back({section.name, section.title, figure.alt, std::move(svg)});
    }
  return pictures;
}

std::vector<DamagedPiece> damaged_pieces(const std::string& directory) {
  std::vector<DamagedPiece> damaged;
  for_section_files(directory, [&](const fs::path& file) {
    try {
      section_from_json(read_file(file.string()), file.string());
    } catch (const DataError& error) {
      damaged.push_back({file.stem().string(), error.what()});
    }
  });
  const fs::path summary = fs::path(directory) / "summary.json";
  std::error_code none;
  if (fs::is_regular_file(summary, none) && !earlier_calls(read_file(summary.string())))
    damaged.push_back({{}, summary.string() + ": not a summary of ours"});
  return damaged;
}

std::optional<std::string> stored_key(const std::string& directory, const std::string& section) {
  const fs::path path = fs::path(directory) / "sections" / (section + ".json");
  std::error_code none;
  if (!fs::is_regular_file(path, none)) return std::nullopt;
  try {
    return section_from_json(read_file(path.string()), path.string()).key;
  } catch (const DataError&) {
    return std::nullopt;
  }
}

}  // namespace passband
