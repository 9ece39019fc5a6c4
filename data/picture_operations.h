// Operations on 8-bit pictures that give Pillow's values, byte for byte: what RandAugment,
// AutoAugment and their kin are made of (data/auto_augment.h).
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace passband {

struct BytePicture {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // (height, width, 3)
};

using Colour = std::array<uint8_t, 3>;

// How a picture is read between its pixels. bicubic: Keys' cubic with a = -1, which Pillow's
// transforms use (its scaling has a = -1/2).
enum class Sampling : uint8_t { nearest, bilinear, bicubic };

// Where the colour of an output place (x, y) is read: at (a x + b y + c, d x + e y + f). Places are
// in pixels from the picture's corner, so that the centre of the first pixel is (0.5, 0.5).
struct Affine {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

// Image.transform(size, AFFINE, ...): what is read outside the picture is `fill`.
void transform(BytePicture& picture, const Affine& where, Sampling sampling, const Colour& fill);
// Image.rotate: counter-clockwise about the centre, in degrees.
void rotate_about_centre(BytePicture& picture, double degrees, Sampling sampling,
                         const Colour& fill);

// ImageOps: of each channel by itself.
void stretch_contrast(BytePicture& picture);  // autocontrast: its range becomes 0 to 255
void equalise(BytePicture& picture);          // its histogram becomes flat
void invert_values(BytePicture& picture);
void posterise(BytePicture& picture, int bits);       // keeps the highest `bits`, 0 to 8
void solarise(BytePicture& picture, int threshold);   // inverts values from the threshold on
void solarise_add(BytePicture& picture, int amount);  // adds to values below 128, up to 255

// ImageEnhance: away from (factor > 1) or towards (factor < 1) a picture without brightness,
// contrast, colour or edges.
void adjust_brightness(BytePicture& picture, double factor);
void adjust_contrast(BytePicture& picture, double factor);
void adjust_colour(BytePicture& picture, double factor);
void adjust_sharpness(BytePicture& picture, double factor);

// ImageFilter.GaussianBlur: three box blurs (Gwosdek et al., SSVM 2011).
void blur(BytePicture& picture, double radius);

}  // namespace passband
