// Writing a report directory, keeping the sections that are already there.
#include "analysis/report/report.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <string_view>

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
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_";
  CHECK(!name.empty() && name.find_first_not_of(allowed) == std::string::npos, what, " name '",
        name, "': use a-z, 0-9, - and _, because it names a file");
}

void make_directory(const fs::path& path) {
  std::error_code reason;
  fs::create_directories(path, reason);
  CHECK(!reason, "cannot make the directory ", path.string(), ": ", reason.message());
}

std::vector<StoredSection> sections_in(const fs::path& directory) {
  std::vector<StoredSection> sections;
  if (!fs::is_directory(directory)) return sections;
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.path().extension() == ".json")
      sections.push_back(
          section_from_json(read_file(entry.path().string()), entry.path().string()));
  return sections;
}

// A figure names files, so only one section may own it.
void check_figures(const std::vector<StoredSection>& sections) {
  std::map<std::string, std::string> owner;
  for (const StoredSection& section : sections)
    for (const StoredFigure& figure : section.figures) {
      const auto [entry, is_new] = owner.emplace(figure.name, section.name);
      CHECK(is_new, "report: figure '", figure.name, "' is in section '", entry->second,
            "' and in section '", section.name, "'; give one another name");
    }
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

  std::vector<StoredSection> all = sections_in(report / "sections");
  // parallel to sections_; unnamed where the directory already holds it
  std::vector<StoredSection> fresh;
  for (size_t i = 0; i < sections_.size(); ++i) {
    const auto named = [&](const StoredSection& s) { return s.name == sections_[i].name; };
    const bool there = written_to_[i] == directory && std::any_of(all.begin(), all.end(), named);
    fresh.push_back(there ? StoredSection{} : drawn(sections_[i]));
    if (fresh[i].name.empty()) continue;
    std::erase_if(all, named);
    all.push_back(fresh[i]);
  }
  check_figures(all);
  for (StoredSection& section : all) {
    const auto same_name = [&](const Section& s) { return s.name == section.name; };
    section.stale = std::ranges::find(header_.stale, section.name) != header_.stale.end() &&
                    std::ranges::none_of(sections_, same_name);
  }
  for (size_t i = 0; i < sections_.size(); ++i) {
    if (fresh[i].name.empty()) continue;
    write_section(report, sections_[i], fresh[i]);
    written_to_[i] = directory;
  }
  std::ranges::sort(all, {}, [&](const StoredSection& section) {
    const auto place = std::ranges::find(header_.order, section.name) - header_.order.begin();
    return std::pair(place, section.name);
  });
  write_file_atomically((report / "summary.json").string(), summary_json(header_, all));
  write_file_atomically((report / "index.html").string(), render_page(header_, all));
}

std::vector<std::string> stored_sections(const std::string& directory) {
  std::vector<std::string> names;
  for (const StoredSection& section : sections_in(fs::path(directory) / "sections"))
    names.push_back(section.name);
  return names;
}

std::optional<std::string> stored_key(const std::string& directory, const std::string& section) {
  const fs::path path = fs::path(directory) / "sections" / (section + ".json");
  if (!fs::is_regular_file(path)) return std::nullopt;
  return section_from_json(read_file(path.string()), path.string()).key;
}

}  // namespace passband
