// The explorer: one HTML page that runs networks in its reader's browser, on test pictures and on
// pictures of theirs, and lets them look at every value and change parts.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "analysis/report/report.h"
#include "analysis/study/analysis.h"

namespace passband {

// Bytes of a page that one network's weights may take.
constexpr int64_t kMostNetworkBytes = 7'500'000;

struct ExplorerRequest {
  std::string title;
  // On the host, in memory of their own: their matrices are rounded to 16 bits, which is how the
  // page holds them. The first is the one that the page opens with; others that have its graph can
  // stand in for it, and any can stand beside it.
  std::vector<Subject> networks;
  // The page opens with the second beside the first.
  bool side_by_side = false;
  // The first so many have their edits measured; of the others (weights along a training) only the
  // right answers are counted.
  size_t measured = 1;
  const Dataset* data = nullptr;  // test pictures
  int64_t shown = 32;             // of them on the page, at most
  int64_t images = 1000;          // of them for the effects of edits
  int64_t most_bytes = kMostNetworkBytes;
  // Of the first network each channel is measured too, of block outputs with at most so many.
  int64_t most_channels = 256;
  Device device = {};  // where effects are measured
  // Sections that the report beside the page has, and figures of them: what there is to see where
  // no script runs.
  std::vector<std::string> sections = {};
  std::vector<StoredPicture> pictures = {};
  Progress progress = {};
};

// The page's text. Throws UsageError for networks that it can not run or hold, naming the network,
// what is too much and the way out.
std::string explorer_page(const ExplorerRequest& request);

// Figures for whoever runs no script.
std::string figures_html(const std::vector<StoredPicture>& pictures);

// Operations that the page's engine runs.
const std::vector<std::string>& explorer_operations();

// A script, a style sheet or a text of the page, from analysis/explore/page/.
struct PageFile {
  std::string_view name, text;
};
const std::vector<PageFile>& page_files();

}  // namespace passband
