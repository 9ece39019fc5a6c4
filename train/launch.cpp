#include "train/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tensor/core/checksum.h"
#include "tensor/core/collective.h"
#include "tensor/core/error.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"
#include "tensor/core/version.h"
#include "tensor/cpu/level.h"

namespace passband {
namespace {

// Where settings may differ from process to process.
constexpr std::array kOfEachProcess = {"data", "data_dir", "threads", "device", "processes"};

// What may not.
std::vector<std::string> facts_of(const RunConfig& config) {
  std::vector<std::string> facts = {
      fmt::format("version {}", version()),
      fmt::format("instructions {} (PASSBAND_ISA chooses)", cpu::name_of(cpu::level()))};
  for (const Setting& s : settings())
    if (std::ranges::find(kOfEachProcess, std::string_view(s.key)) == kOfEachProcess.end())
      facts.push_back(fmt::format("{} = {}", s.key, value_text(config.settings, s)));
  const auto add = [&](const char* name, const DataFingerprint::Split& split) {
    facts.push_back(fmt::format("{}: {} of checksum {}", name, counted(split.count, "picture"),
                                checksum_text(split.pictures ^ split.labels)));
  };
  add("training pictures", config.data.train);
  add("validation pictures", config.data.val);
  add("test pictures", config.data.test);
  return facts;
}

}  // namespace

void check_processes_agree(const RunConfig& config) {
  if (process_count() == 1) return;
  const std::vector<std::string> own = facts_of(config);
  std::string text = join(own, "\n");
  broadcast(text);
  const std::vector<std::string> first = split_text(text, '\n');
  std::string differs;
  for (size_t i = 0; i < std::min(own.size(), first.size()) && differs.empty(); ++i)
    if (own[i] != first[i]) differs = fmt::format("{}, in rank 0: {}", own[i], first[i]);
  if (own.size() != first.size() && differs.empty()) differs = "its settings are others";
  if (!differs.empty())
    throw UsageError(fmt::format("{} differs: {}", process_name(process_rank()), differs));
  largest_of_processes(0);
}

}  // namespace passband
