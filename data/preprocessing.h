// Preprocessing: how a picture becomes what a network sees when it is tested: size, crop and
// normalisation, as timm and torchvision do it, to the bit.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/resize.h"

namespace passband {

struct DataSplits;

enum class PictureFilter {
  automatic,  // the program's own way: the centre square, bilinear, in one pass
  bilinear,   // Pillow's filters, the whole picture first, then a crop
  bicubic,
};

struct Preprocessing {
  // Of pixel / 255; nothing: the data set's.
  std::optional<std::array<float, 3>> mean = {}, std = {};
  double crop_pct = 0;  // side of the crop relative to the picture's shorter one; 0: 0.875
  PictureFilter interpolation = PictureFilter::automatic;

  bool operator==(const Preprocessing&) const = default;
};

// "0.5" or "0.485,0.456,0.406", each in [0, 1], those of a deviation above 0. Throws UsageError.
std::array<float, 3> three_numbers(const std::string& text, const std::string& name,
                                   bool deviation);

// `count` output pixels from `first` on, of the `all` that a whole row or column has.
struct OutputRange {
  int64_t first, count, all;
};

// Pillow's Image.resize of 8-bit pixels to (rows.all, columns.all, 3), and of that the given part:
// across first, then down, each pass rounded to 8 bits, in its fixed-point arithmetic.
std::vector<uint8_t> resize_as_pillow(const PixelView& in, const OutputRange& rows,
                                      const OutputRange& columns, PictureFilter filter);

// All of a picture, its sides each by itself, as (side, side, 3).
void scale_picture(const PixelView& in, PictureFilter filter, uint8_t* out, int64_t side);

// timm's way to test: the shorter side becomes floor(side / crop_pct), torchvision's Resize, then
// the centre `side` x `side` of it. out: (side, side, 3).
void preprocess(const PixelView& in, const Preprocessing& how, int64_t side, uint8_t* out);

// Shows a network of this side the pictures so: normalised by what is given; those of files, which
// are tested, with that crop and filter, where a filter is named. load_dataset does it, and more.
void prepare_pictures(DataSplits& splits, const Preprocessing& how, int64_t side);

// "mean 0.5 0.5 0.5, deviation 0.5 0.5 0.5, bicubic, crop 0.9": what is given of it.
std::string words(const Preprocessing& how);

}  // namespace passband
