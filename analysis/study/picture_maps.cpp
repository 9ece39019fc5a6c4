// Pictures and overlays for figures.
#include "analysis/study/picture_maps.h"

#include "tensor/core/error.h"

namespace passband {
namespace {

// The class of a picture; without labels, the name of its file.
std::string caption_of(const Dataset& data, size_t index) {
  if (data.labelled) return class_name(data, data.labels[index]);
  return data.files.short_name(static_cast<int64_t>(index));
}

}  // namespace

plot::Picture picture_of(const Dataset& data, int64_t index, int64_t side) {
  CHECK(side <= data.height && side <= data.width, "picture: stored as ", data.height, " x ",
        data.width, ", shown to a network of side ", side);
  plot::Picture picture{.width = side, .height = side};
  const int64_t top = (data.height - side) / 2, left = (data.width - side) / 2;
  const PictureBytes stored = data.image(index);
  for (int64_t y = 0; y < side; ++y) {
    const uint8_t* row = stored.data() + ((top + y) * data.width + left) * 3;
    picture.rgb.insert(picture.rgb.end(), row, row + side * 3);
  }
  return picture;
}

plot::Picture overlaid(plot::Picture picture, std::span<const double> map, int64_t height,
                       int64_t width, std::string caption) {
  picture.overlay_width = width;
  picture.overlay_height = height;
  picture.overlay.assign(map.begin(), map.end());
  picture.caption = std::move(caption);
  return picture;
}

std::string figure_name(const std::string& stem, size_t subject) {
  return subject == 0 ? stem : stem + "-" + std::to_string(subject + 1);
}

plot::Figure picture_figure(const Dataset& data, const std::vector<int64_t>& indices, int64_t side,
                            std::string name, std::string title, std::string overlay_value) {
  plot::Figure figure{.name = std::move(name), .title = std::move(title)};
  plot::Pictures& grid = figure.pictures;
  grid.columns = static_cast<int>(indices.size());
  grid.fixed_columns = true;
  grid.overlay_value = std::move(overlay_value);
  grid.row_titles = {"picture"};
  for (const int64_t index : indices) {
    plot::Picture plain = picture_of(data, index, side);
    plain.caption = caption_of(data, static_cast<size_t>(index));
    plain.alt = "test picture " + std::to_string(index);
    grid.cells.push_back(std::move(plain));
  }
  return figure;
}

void add_map_row(plot::Figure& figure, const std::string& title, std::span<const double> maps,
                 int64_t height, int64_t width, const std::vector<std::string>& captions) {
  plot::Pictures& grid = figure.pictures;
  grid.row_titles.push_back(title);
  const auto columns = static_cast<size_t>(grid.columns);
  const auto cells = static_cast<size_t>(height * width);
  for (size_t i = 0; i < columns; ++i) {
    plot::Picture plain = grid.cells[i];
    plain.alt = title + " over " + plain.alt;
    grid.cells.push_back(overlaid(std::move(plain), maps.subspan(i * cells, cells), height, width,
                                  i < captions.size() ? captions[i] : std::string()));
  }
}

bool is_wrong(const Dataset& data, int64_t index, int64_t read) {
  return data.labelled && data.labels[static_cast<size_t>(index)] != read;
}

void mark_wrong(plot::Figure& figure, const Dataset& data, const std::vector<int64_t>& indices,
                const std::vector<int64_t>& read) {
  for (size_t i = 0; i < figure.pictures.cells.size(); ++i) {
    const size_t column = i % indices.size();
    figure.pictures.cells[i].wrong = is_wrong(data, indices[column], read[column]);
  }
}

const std::string& class_name(const Dataset& data, int64_t label) {
  return data.classes[static_cast<size_t>(label)];
}

}  // namespace passband
