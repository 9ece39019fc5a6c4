// RunConfig: what config.toml of a run holds, and how it is written and read.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/fingerprint.h"
#include "models/model.h"
#include "models/run_settings.h"

namespace passband {

// One call of `train` that worked on a run: the one that began it, or a resume.
struct RunSession {
  std::string date;     // UTC, "2026-11-27T03:15:40Z"
  std::string version;  // of Passband
  std::string command;  // as it could be typed again
  std::string machine;
  int64_t step = 0;  // where it began
};

// The file of weights that a run began from.
struct BeginningFile {
  std::string name;       // without its folder
  uint64_t checksum = 0;  // XXH64
};

struct RunConfig {
  RunSettings settings;  // all resolved; data is absolute where it is a folder
  std::optional<BeginningFile> beginning;
  int64_t image_size = 32;  // what settings.img_size came to: the side that the network sees
  std::string data_path;    // where the pictures lay, absolute; empty for pictures that are drawn
  DataFingerprint data;
  std::vector<RunSession> sessions;  // in order; the first one began the run

  // Of the network that was trained.
  ModelOptions model_options() const;
};

// Sections [model], [data], [train], every setting written out, and [[session]].
std::string to_toml(const RunConfig& config);
// Throws DataError naming `source` (the file) and the line or the key that is wrong. Nothing may be
// unknown, and nothing missing, unless another version wrote the text: a setting that it did not
// know has its default.
RunConfig run_config_from(const std::string& text, const std::string& source);

// Values by key, in the order they are applied.
using Values = std::vector<std::pair<std::string, std::string>>;

// Recipes are texts of the same sections with the settings that they give, and, optionally, tables
// [family.vit] ... that hold for one family of models. What is not a setting in the config.toml of
// a run, and its `recipe`, are passed over: it is a recipe that repeats the run. Throws UsageError
// naming `source`, line and key.
Values recipe_values(const std::string& text, const std::string& source, const std::string& family);

// What somebody reached by a recipe: its tables [[published]].
struct PublishedResult {
  std::string model, data;  // data: "cifar100", "imagenet", ...
  double top1 = 0;          // in percent
  std::string source;
};
// Throws UsageError naming `source` where one of them is not complete.
std::vector<PublishedResult> published_results(const std::string& text, const std::string& source);

}  // namespace passband
