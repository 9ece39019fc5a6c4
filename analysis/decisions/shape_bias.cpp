#include "analysis/decisions/shape_bias.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <sstream>

#include "analysis/decisions/imagenet_categories.h"
#include "data/image.h"
#include "data/imagenet_classes.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

using Members = std::vector<std::vector<int64_t>>;

// The two words of "cat7-dog3", digits dropped; nothing when the name is no pair.
std::optional<std::pair<std::string, std::string>> cues_of(const std::string& stem) {
  const size_t dash = stem.find('-');
  if (dash == std::string::npos || stem.find('-', dash + 1) != std::string::npos)
    return std::nullopt;
  const auto word = [](std::string text) {
    while (!text.empty() && std::isdigit(static_cast<unsigned char>(text.back()))) text.pop_back();
    return text;
  };
  const std::string shape = word(stem.substr(0, dash)), texture = word(stem.substr(dash + 1));
  if (shape.empty() || texture.empty()) return std::nullopt;
  return std::pair(shape, texture);
}

int64_t index_in(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::ranges::find(names, name);
  return found == names.end() ? -1 : found - names.begin();
}

// A class by its name; of ImageNet also by its WordNet id, a synonym or its number, as a mapping
// names classes whose names have spaces. -1: there is none.
int64_t class_of(const std::string& name, const std::vector<std::string>& classes) {
  const int64_t index = index_in(classes, name);
  if (index >= 0 || classes != imagenet_class_names()) return index;
  if (const auto meant = imagenet_class(name)) return *meant;
  int64_t number = -1;
  const char* const end = name.data() + name.size();
  const auto [read, error] = std::from_chars(name.data(), end, number);
  const bool fits = error == std::errc{} && read == end && number < std::ssize(classes);
  return fits ? number : -1;
}

std::map<std::string, std::vector<std::string>> read_mapping(const fs::path& file) {
  std::map<std::string, std::vector<std::string>> mapping;
  for (const std::string& line : split_text(read_file(file.string()), '\n')) {
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos)
      throw DataError(
          concat_text(file.string(), ": ", quote(line), " is not 'category: class class ...'"));
    std::istringstream words(line.substr(colon + 1));
    words.exceptions(std::ios::badbit);  // memory that runs out is no end of the line
    for (std::string word; words >> word;) mapping[line.substr(0, colon)].push_back(word);
  }
  return mapping;
}

Members members_of(const std::vector<std::string>& categories, const fs::path& mapping_file,
                   const std::vector<std::string>& classes) {
  std::map<std::string, std::vector<std::string>> names;
  if (!mapping_file.empty()) names = read_mapping(mapping_file);
  else
    for (const std::string& category : categories) names[category] = {category};
  if (mapping_file.empty()) {
    names["car"].push_back("automobile");
    names["boat"].push_back("ship");
  }
  Members members;
  for (const std::string& category : categories) {
    std::vector<int64_t>& own = members.emplace_back();
    for (const std::string& name : names[category]) {
      const int64_t index = class_of(name, classes);
      if (index >= 0) own.push_back(index);
      else if (!mapping_file.empty())
        throw DataError(concat_text(mapping_file.string(), ": the network has no class ",
                                    quote(name), did_you_mean(name, classes)));
    }
    if (own.empty() && mapping_file.empty()) own = imagenet_members(category, classes);
  }
  return members;
}

// A list for a message: a thousand names would hide what it says.
std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kMost = 20;
  if (names.size() <= kMost) return join(names);
  return join({names.begin(), names.begin() + kMost}) +
         concat_text(" and ", names.size() - kMost, " more");
}

struct Stimulus {
  fs::path file;
  std::string shape, texture;
};

std::vector<Stimulus> stimuli_in(const fs::path& folder) {
  std::error_code error;
  std::vector<Stimulus> stimuli;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path& file = entry->path();
    std::string extension = file.extension().string();
    std::ranges::transform(extension, extension.begin(),
                           [](unsigned char c) { return std::tolower(c); });
    if (extension != ".png" && extension != ".jpg" && extension != ".jpeg") continue;
    const auto cues = cues_of(file.stem().string());
    if (!cues)
      throw DataError(
          concat_text(file.string(), ": stimuli are named shape-texture, as cat7-dog3.png"));
    stimuli.push_back({file, cues->first, cues->second});
  }
  if (error) throw DataError(concat_text(folder.string(), ": cannot be listed: ", error.message()));
  if (stimuli.empty())
    throw DataError(concat_text(folder.string(), ": holds no .png, .jpg or .jpeg pictures"));
  std::ranges::sort(stimuli, {}, [](const Stimulus& s) { return s.file.native(); });
  return stimuli;
}

}  // namespace

double CueDecisions::bias() const {
  return shape + texture > 0 ? static_cast<double>(shape) / static_cast<double>(shape + texture)
                             : std::nan("");
}

CueDecisions count_decisions(const std::vector<int32_t>& decided,
                             const std::vector<int32_t>& shapes,
                             const std::vector<int32_t>& textures, int64_t categories) {
  CHECK(decided.size() == shapes.size() && shapes.size() == textures.size(),
        "shape bias: ", decided.size(), " decisions for ", shapes.size(), " shapes and ",
        textures.size(), " textures");
  CueDecisions result;
  result.shape_of.resize(static_cast<size_t>(categories));
  result.texture_of.resize(static_cast<size_t>(categories));
  for (size_t i = 0; i < decided.size(); ++i) {
    if (shapes[i] == textures[i]) continue;
    ++result.pictures;
    const auto category = static_cast<size_t>(shapes[i]);
    if (decided[i] == shapes[i]) ++result.shape, ++result.shape_of[category];
    if (decided[i] == textures[i]) ++result.texture, ++result.texture_of[category];
  }
  return result;
}

double error_consistency(const std::vector<bool>& first_right,
                         const std::vector<bool>& second_right) {
  CHECK(first_right.size() == second_right.size() && !first_right.empty(),
        "error consistency: ", first_right.size(), " and ", second_right.size(), " answers");
  double first = 0, second = 0, same = 0;
  for (size_t i = 0; i < first_right.size(); ++i) {
    first += first_right[i];
    second += second_right[i];
    same += first_right[i] == second_right[i];
  }
  const auto n = static_cast<double>(first_right.size());
  const double p = first / n, q = second / n, expected = p * q + (1 - p) * (1 - q);
  return expected < 1 ? (same / n - expected) / (1 - expected) : std::nan("");
}

std::vector<int32_t> decide(const std::vector<double>& logits, int64_t classes,
                            const Members& members, Pool pool) {
  std::vector<int32_t> decided;
  const auto k = static_cast<size_t>(classes);
  std::vector<double> p(k);
  for (size_t row = 0; row + k <= logits.size(); row += k) {
    const double top = *std::max_element(logits.begin() + static_cast<int64_t>(row),
                                         logits.begin() + static_cast<int64_t>(row + k));
    for (size_t c = 0; c < k; ++c) p[c] = std::exp(logits[row + c] - top);
    int32_t best = -1;
    double best_value = -1;
    for (size_t category = 0; category < members.size(); ++category) {
      double value = 0;
      for (const int64_t c : members[category])
        value = pool == Pool::max ? std::max(value, p[static_cast<size_t>(c)])
                                  : value + p[static_cast<size_t>(c)];
      if (pool == Pool::mean && !members[category].empty())
        value /= static_cast<double>(members[category].size());
      if (!members[category].empty() && value > best_value) {
        best_value = value;
        best = static_cast<int32_t>(category);
      }
    }
    decided.push_back(best);
  }
  return decided;
}

ConflictPictures shapes_conflicts(const Dataset& like, int64_t count, uint64_t seed) {
  ShapesOptions options{
      .size = like.height, .classes = like.num_classes(), .train_count = 1, .test_count = count};
  options.test_conflict = 1.0;
  options.seed = seed;
  ConflictPictures result{.pictures = make_shapes(options).test};
  result.pictures.mean = like.mean;
  result.pictures.std = like.std;
  for (int64_t c = 0; c < like.num_classes(); ++c) {
    result.categories.emplace_back(kShapeNames[static_cast<size_t>(c)]);
    result.textures.emplace_back(kTextureNames[static_cast<size_t>(c)]);
    result.members.push_back({c});
  }
  return result;
}

ConflictPictures folder_conflicts(const fs::path& folder, const fs::path& mapping,
                                  const Dataset& like) {
  const std::vector<Stimulus> stimuli = stimuli_in(folder);
  ConflictPictures result;
  for (const Stimulus& s : stimuli)
    for (const std::string& word : {s.shape, s.texture})
      if (index_in(result.categories, word) < 0) result.categories.push_back(word);
  std::ranges::sort(result.categories);
  result.textures = result.categories;
  result.members = members_of(result.categories, mapping, like.classes);
  Dataset& data = result.pictures;
  data = {.name = folder.string(),
          .split = "test",
          .height = like.height,
          .width = like.height,
          .classes = like.classes,
          .mean = like.mean,
          .std = like.std};
  for (const Stimulus& s : stimuli) {
    const int64_t shape = index_in(result.categories, s.shape),
                  texture = index_in(result.categories, s.texture);
    if (shape == texture || result.members[static_cast<size_t>(shape)].empty() ||
        result.members[static_cast<size_t>(texture)].empty()) {
      ++result.left_out;
      continue;
    }
    data.images.resize(data.images.size() + static_cast<size_t>(data.image_bytes()));
    const EncodedPicture picture(s.file);
    picture.resize(centre_square(picture.height(), picture.width()),
                   data.images.data() + data.count * data.image_bytes(), like.height, like.height);
    data.labels.push_back(0);
    data.shape_ids.push_back(static_cast<int32_t>(shape));
    data.texture_ids.push_back(static_cast<int32_t>(texture));
    ++data.count;
  }
  if (data.count == 0)
    throw DataError(concat_text(
        folder.string(), ": no stimulus has two categories that the network knows (it knows ",
        some_of(like.classes), "); name its classes with --set shape-bias.mapping=FILE"));
  return result;
}

}  // namespace passband
