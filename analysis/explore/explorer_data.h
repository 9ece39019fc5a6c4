// What the explorer's page is given, as JSON and bytes.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "analysis/explore/effects.h"
#include "analysis/explore/graph.h"

namespace passband {

// Operations and where their constants lie in constant_bytes; not the constants themselves.
nlohmann::json graph_json(const NetworkGraph& graph);

// All constants one after another, each from a multiple of 4 bytes: little-endian, 16 bits where
// is_halved, else f32 or i32.
std::vector<uint8_t> constant_bytes(const NetworkGraph& graph);

nlohmann::json effects_json(const std::vector<EditEffect>& effects);

// Right answers without an edit: {"pictures", "right"}.
nlohmann::json intact_json(const Intact& intact);

// Test pictures, evenly spread, as the network sees them: {"labels", "indices", "pixels"}, the
// pixels as bytes in base64. At most `count`, and fewer where they are large.
nlohmann::json pictures_json(const Model& model, const Dataset& data, int64_t count);
// The places in `data` of the pictures that it shows.
std::vector<int64_t> shown_indices(const Model& model, const Dataset& data, int64_t count);

// What the page is told of its pictures and classes, and of a network, less its graph and numbers.
nlohmann::json set_json(const std::string& title, const Model& first, const Dataset& data,
                        int64_t shown);
nlohmann::json network_json(const Subject& subject);

}  // namespace passband
