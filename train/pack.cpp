#include "train/pack.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "data/pack.h"
#include "models/run_settings.h"
#include "tensor/core/collective.h"
#include "tensor/core/error.h"
#include "tensor/core/standard_streams.h"
#include "tensor/core/text.h"
#include "train/say.h"
#include "train/signals.h"

namespace passband {
namespace {

using Json = nlohmann::ordered_json;

// One line that is redrawn on a terminal, a line now and then elsewhere.
class PackProgress {
 public:
  explicit PackProgress(bool quiet) : quiet_(quiet) {}
  void show(int64_t done, int64_t all) {
    const auto now = std::chrono::steady_clock::now();
    const auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10);
    if (quiet_ || now - last_ < pause) return;
    last_ = now;
    say(fmt::format("{}packed {} of {} pictures{}", terminal_ ? "\r" : "", done, all,
                    terminal_ ? "" : "\n"));
    drawn_ = terminal_;
  }
  void end() const {
    if (drawn_) say("\n");
  }

 private:
  bool quiet_, terminal_ = ::isatty(STDERR_FILENO) != 0, drawn_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

RunSettings settings_of_pack(const Options& options) {
  constexpr std::array kTaken = {"seed", "skip_bad_pictures"};
  RunSettings settings;
  for (const auto& [key, text] : options.given) {
    if (std::ranges::find(kTaken, key) == kTaken.end())
      throw UsageError(
          fmt::format("--pack: writes shards and trains nothing, {} is of no use "
                      "(--seed, --skip-bad-pictures, --pack-shards, --pack-shuffle are)",
                      key));
    set_value(settings, key, text);
  }
  if (process_count() > 1) throw UsageError("--pack: is the work of one process");
  return settings;
}

void print_packed(const Packed& packed, const Options& options) {
  const std::string& out = options.pack[1];
  const std::string first = (std::filesystem::path(out) / packed.splits[0].pattern).string();
  if (options.json) {
    Json line = {{"folder", out}, {"classes", packed.classes.size()}, {"splits", Json::array()}};
    for (const PackedSplit& split : packed.splits)
      line["splits"].push_back({{"name", split.name},
                                {"shards", split.shards},
                                {"pictures", split.pictures},
                                {"pattern", split.pattern}});
    line["left_out"] = packed.left_out;
    return print_line(line.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  std::vector<std::string> parts;
  for (const PackedSplit& split : packed.splits)
    parts.push_back(fmt::format("{} ({})", split.pattern, counted(split.pictures, "picture")));
  print_line(fmt::format(
      "{}: {} of {} classes, {} MB{}\n{}: ./train --data '{}'", out, join(parts),
      packed.classes.size(), (packed.bytes + 500'000) / 1'000'000,
      packed.left_out.empty() ? "" : "; left out: " + packed.left_out,
      options.dry_run ? "to train on them once they are written" : "to train on them", first));
}

}  // namespace

int pack(const Options& options) {
  const RunSettings settings = settings_of_pack(options);
  StopSignals signals;
  PackProgress progress(options.quiet);
  const auto packed = pack_folder(options.pack[0], options.pack[1],
                                  {.shards = options.pack_shards,
                                   .shuffle = options.pack_shuffle,
                                   .seed = static_cast<uint64_t>(settings.seed),
                                   .skip_bad_pictures = settings.skip_bad_pictures,
                                   .write = !options.dry_run,
                                   .progress = [&](int64_t done, int64_t all) {
                                     progress.show(done, all);
                                     return signals.requested() == 0;
                                   }});
  progress.end();
  if (!packed) {
    print_line(fmt::format("stopped; nothing was written to {}", options.pack[1]));
    return 128 + signals.requested();
  }
  print_packed(*packed, options);
  return code_after_output(0);
}

}  // namespace passband
