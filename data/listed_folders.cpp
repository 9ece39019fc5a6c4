#include "data/listed_folders.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "data/matlab.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

struct Line {
  int64_t number = 0;
  std::vector<std::string> words;
};

// The lines of a list that are neither empty nor comments.
std::vector<Line> read_list(const fs::path& path) {
  std::vector<Line> lines;
  int64_t number = 0;
  for (std::string text : split_text(read_file(path.string()), '\n')) {
    ++number;
    if (text.ends_with('\r')) text.pop_back();
    if (text.empty() || text[0] == '#') continue;
    lines.push_back({number, split_text(text, ' ')});
  }
  if (lines.empty()) throw DataError(concat_text(path.string(), ": lists no pictures"));
  return lines;
}

[[noreturn]] void refuse_line(const fs::path& path, const Line& line, const std::string& expected) {
  throw DataError(concat_text(path.string(), ":", line.number, ": expected ", expected, ", found ",
                              quote(join(line.words, " "))));
}

// A name from a list leads to nowhere but below its folder.
bool is_inside(const std::string& name) {
  const fs::path path(name);
  return !name.empty() && path.is_relative() &&
         std::ranges::none_of(path, [](const fs::path& part) { return part == ".."; });
}

constexpr int32_t kBreeds = 37, kFlowers = 102, kDishes = 101;

// "american_bulldog_12" -> "american bulldog".
std::string breed_of(const std::string& picture) {
  std::string name = picture.substr(0, picture.rfind('_'));
  std::ranges::replace(name, '_', ' ');
  return name;
}

FolderSplit list_pets(const fs::path& root, const std::string& list, const std::string& name,
                      std::vector<std::string>& classes) {
  const fs::path path = root / "annotations" / list;
  FolderSplit split{.name = name};
  for (const Line& line : read_list(path)) {
    int32_t label = 0;
    const std::string& number = line.words.size() == 4 ? line.words[1] : line.words[0];
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), label);
    if (line.words.size() != 4 || error != std::errc{} || *end != 0 || label < 1 ||
        label > kBreeds || !is_inside(line.words[0]))
      refuse_line(path, line, "a picture, its class of 1 to 37, species and breed");
    split.files.push_back({(root / "images" / (line.words[0] + ".jpg")).native(), label - 1});
    classes[static_cast<size_t>(label - 1)] = breed_of(line.words[0]);
  }
  sort_by_class(split);
  return split;
}

// A split that the lists leave out is a mistake of whoever unpacked them, an absent class too.
void check_named(const std::vector<std::string>& classes, const fs::path& root) {
  const auto missing = std::ranges::find(classes, "");
  if (missing != classes.end())
    throw DataError(concat_text(root.string(), ": no picture of class ",
                                missing - classes.begin() + 1, " is listed"));
}

}  // namespace

FolderLayout find_pets(const fs::path& root) {
  FolderLayout layout;
  layout.classes.resize(kBreeds);
  layout.train = list_pets(root, "trainval.txt", "trainval", layout.classes);
  layout.test = list_pets(root, "test.txt", "test", layout.classes);
  check_named(layout.classes, root);
  return layout;
}

namespace {

// "image_00012.jpg"
std::string flower_file(int64_t id) {
  const std::string digits = std::to_string(id);
  return concat_text("image_", std::string(5 - std::min<size_t>(5, digits.size()), '0'), digits,
                     ".jpg");
}

FolderSplit list_flowers(const fs::path& root, const MatlabArray& ids,
                         const std::vector<int64_t>& labels, const std::string& name) {
  const fs::path path = root / "setid.mat";
  FolderSplit split{.name = name};
  for (const int64_t id : whole_numbers(ids, std::ssize(labels), path)) {
    if (id == 0)
      throw DataError(concat_text(path.string(), ": ", quote(ids.name),
                                  " names picture 0; they "
                                  "begin with 1"));
    split.files.push_back({root / "jpg" / flower_file(id),
                           static_cast<int32_t>(labels[static_cast<size_t>(id - 1)] - 1)});
  }
  sort_by_class(split);
  return split;
}

constexpr int64_t kMostLabelBytes = int64_t{16} << 20;

// By label, as the authors' page names them.
const std::vector<std::string>& flower_names() {
  static const std::vector<std::string> names = split_text(
      "pink primrose,hard-leaved pocket orchid,canterbury bells,sweet pea,english marigold,tiger "
      "lily,moon orchid,bird of paradise,monkshood,globe thistle,snapdragon,colt's foot,king "
      "protea,spear thistle,yellow iris,globe-flower,purple coneflower,peruvian lily,balloon "
      "flower,giant white arum lily,fire lily,pincushion flower,fritillary,red ginger,grape "
      "hyacinth,corn poppy,prince of wales feathers,stemless gentian,artichoke,sweet "
      "william,carnation,garden phlox,love in the mist,mexican aster,alpine sea "
      "holly,ruby-lipped cattleya,cape flower,great masterwort,siam tulip,lenten rose,barbeton "
      "daisy,daffodil,sword lily,poinsettia,bolero deep "
      "blue,wallflower,marigold,buttercup,oxeye daisy,common dandelion,petunia,wild "
      "pansy,primula,sunflower,pelargonium,bishop of llandaff,gaura,geranium,orange "
      "dahlia,pink-yellow dahlia,cautleya spicata,japanese anemone,black-eyed "
      "susan,silverbush,californian poppy,osteospermum,spring crocus,bearded "
      "iris,windflower,tree poppy,gazania,azalea,water lily,rose,thorn apple,morning "
      "glory,passion flower,lotus,toad "
      "lily,anthurium,frangipani,clematis,hibiscus,columbine,desert-rose,tree "
      "mallow,magnolia,cyclamen,watercress,canna lily,hippeastrum,bee balm,ball "
      "moss,foxglove,bougainvillea,camellia,mallow,mexican petunia,bromelia,blanket "
      "flower,trumpet creeper,blackberry lily",
      ',');
  return names;
}

}  // namespace

FolderLayout find_flowers(const fs::path& root) {
  const fs::path path = root / "imagelabels.mat";
  const std::vector<int64_t> labels =
      whole_numbers(read_matlab(path, {"labels"}, kMostLabelBytes)[0], kFlowers, path);
  if (std::ranges::find(labels, 0) != labels.end())
    throw DataError(concat_text(path.string(), ": a label is 0; they begin with 1"));
  const std::vector<MatlabArray> ids =
      read_matlab(root / "setid.mat", {"trnid", "valid", "tstid"}, kMostLabelBytes);
  FolderLayout layout;
  layout.classes = flower_names();
  layout.train = list_flowers(root, ids[0], labels, "trnid");
  layout.val = list_flowers(root, ids[1], labels, "valid");
  layout.test = list_flowers(root, ids[2], labels, "tstid");
  return layout;
}

namespace {

struct Dish {
  std::string name;
  fs::path picture;
};

std::vector<Dish> list_food(const fs::path& root, const std::string& list) {
  const fs::path path = root / "meta" / list;
  std::vector<Dish> dishes;
  for (const Line& line : read_list(path)) {
    const std::string& name = line.words[0];
    const size_t slash = name.find('/');
    if (line.words.size() != 1 || slash == std::string::npos || slash == 0 || !is_inside(name))
      refuse_line(path, line, "a class and a picture, as apple_pie/1005649");
    dishes.push_back({name.substr(0, slash), root / "images" / (name + ".jpg")});
  }
  return dishes;
}

}  // namespace

FolderLayout find_food(const fs::path& root) {
  const std::vector<Dish> train = list_food(root, "train.txt"), test = list_food(root, "test.txt");
  std::map<std::string, int32_t> labels;
  for (const Dish& dish : train) labels.emplace(dish.name, 0);
  FolderLayout layout;
  for (auto& [name, label] : labels) {
    label = static_cast<int32_t>(std::ssize(layout.classes));
    layout.classes.push_back(name);
  }
  if (std::ssize(labels) != kDishes)
    throw DataError(concat_text((root / "meta/train.txt").string(), ": names ", labels.size(),
                                " classes, not ", kDishes));
  layout.train.name = "train";
  layout.test.name = "test";
  for (const Dish& dish : train) layout.train.files.push_back({dish.picture, labels.at(dish.name)});
  for (const Dish& dish : test) {
    const auto found = labels.find(dish.name);
    if (found == labels.end())
      throw DataError(concat_text((root / "meta/test.txt").string(), ": no class ",
                                  quote(dish.name), " in train.txt"));
    layout.test.files.push_back({dish.picture, found->second});
  }
  sort_by_class(layout.train);
  sort_by_class(layout.test);
  return layout;
}

namespace {

constexpr int64_t kDigitSide = 32;
constexpr int64_t kMostDigitBytes = int64_t{1} << 31;  // MAT-files of level 5 hold no more

// MATLAB's order (y, x, channel, picture), the first one running fastest, into NHWC.
std::vector<uint8_t> in_rows(const std::vector<uint8_t>& columns, int64_t count) {
  std::vector<uint8_t> rows(columns.size());
  size_t from = 0;
  for (int64_t n = 0; n < count; ++n)
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t x = 0; x < kDigitSide; ++x)
        for (int64_t y = 0; y < kDigitSide; ++y)
          rows[static_cast<size_t>(((n * kDigitSide + y) * kDigitSide + x) * 3 + c)] =
              columns[from++];
  return rows;
}

Dataset read_digits(const fs::path& path, const std::string& split) {
  const std::vector<MatlabArray> arrays = read_matlab(path, {"X", "y"}, kMostDigitBytes);
  const MatlabArray &pictures = arrays[0], &digits = arrays[1];
  const int64_t count = digits.count();
  const std::vector<int64_t> shape = {kDigitSide, kDigitSide, 3, count};
  const bool one = count == 1 && pictures.shape == std::vector<int64_t>{kDigitSide, kDigitSide, 3};
  if ((pictures.shape != shape && !one) || pictures.element_bytes != 1 || pictures.is_signed)
    throw DataError(concat_text(path.string(),
                                ": X does not hold 32 x 32 pictures of three bytes "
                                "for the ",
                                count, " digits of y"));
  Dataset data{
      .name = "svhn", .split = split, .count = count, .height = kDigitSide, .width = kDigitSide};
  data.images = in_rows(pictures.data, count);
  for (const int64_t digit : whole_numbers(digits, 10, path)) {
    if (digit == 0) throw DataError(concat_text(path.string(), ": y holds 0; SVHN writes 10"));
    data.labels.push_back(static_cast<int32_t>(digit % 10));
  }
  for (int digit = 0; digit < 10; ++digit) data.classes.push_back(std::to_string(digit));
  const DatasetInfo info = dataset_info("svhn");
  data.mean = info.mean;
  data.std = info.std;
  return data;
}

}  // namespace

DataSplits read_svhn(const fs::path& folder) {
  return {read_digits(folder / "train_32x32.mat", "train"),
          read_digits(folder / "test_32x32.mat", "test")};
}

}  // namespace passband
