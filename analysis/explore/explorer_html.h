// The explorer's page around what it is given: one file, or served.
#pragma once
#include <string>
#include <vector>

namespace passband {

struct ExplorerText {
  std::string title;
  std::string report;                // HTML for whoever runs no script: where the report is
  std::string figures;               // likewise: what it shows
  std::string data;                  // JSON: see set_json, network_json and graph_json
  std::vector<std::string> weights;  // of each network, base64; none where a server has them
  bool served = false;               // the page may ask the server that it came from
};

std::string explorer_html(const ExplorerText& text);

}  // namespace passband
