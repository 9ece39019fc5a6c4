// Pictures of the data set with maps of relevance laid over them.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "analysis/report/figure.h"
#include "analysis/study/subject.h"

namespace passband {

// What a network of this side sees of a picture: the centre of it.
plot::Picture picture_of(const Dataset& data, int64_t index, int64_t side);

// The picture under a map (height x width, from 0 on).
plot::Picture overlaid(plot::Picture picture, std::span<const double> map, int64_t height,
                       int64_t width, std::string caption);

// The name of a figure that each network has: "rollout", "rollout-2", "rollout-3", ...
std::string figure_name(const std::string& stem, size_t subject);

// A figure of pictures as a network of this side sees them, captioned by their classes; rows of
// maps are appended with `add_map_row`.
plot::Figure picture_figure(const Dataset& data, const std::vector<int64_t>& indices, int64_t side,
                            std::string name, std::string title, std::string overlay_value);

// Maps (columns x height x width) over the figure's pictures, with one caption each (or none).
void add_map_row(plot::Figure& figure, const std::string& title, std::span<const double> maps,
                 int64_t height, int64_t width, const std::vector<std::string>& captions = {});

// Is the class that was `read` from a picture another than the data set's? Without labels none is.
bool is_wrong(const Dataset& data, int64_t index, int64_t read);
// Marks the pictures (and the maps over them) that are wrong.
void mark_wrong(plot::Figure& figure, const Dataset& data, const std::vector<int64_t>& indices,
                const std::vector<int64_t>& read);

// The name of a class.
const std::string& class_name(const Dataset& data, int64_t label);

}  // namespace passband
