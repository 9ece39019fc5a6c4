#!/usr/bin/env python3
# Makes corruptions.safetensors of test_corruptions.cpp: the common corruptions by the libraries
# that the published programs use (numpy, scipy, scikit-image, OpenCV, Pillow), from the random
# numbers that the library itself draws (Philox, re-implemented here). Motion blur follows
# ImageMagick's formula; frost has no golden values.
#   make_corruptions.py      writes corruptions.safetensors beside this script
# Made with numpy 2.4.6, scipy 1.17.1, scikit-image 0.26.0, opencv-python-headless 5.0.0, Pillow
# 13.0.0. The file holds picture_32 and picture_96 (side, side, 3) and, for each kind and size,
# KIND_SIDE (5, 192): every severity at 192 places spread over the picture.
import json
import os
import struct
from io import BytesIO

import cv2
import numpy as np
import scipy.ndimage
import scipy.stats
import skimage.color
import skimage.filters
from PIL import Image

from shared import site_of, words

SEED, INDEX, PLACES = 3, 7, 192


# --- random numbers, as RandomSequence of tensor/core/random.h ---

class Random:
    def __init__(self, seed, step, site):
        self.words, self.at = words(seed, site, 100000, step).reshape(-1), 0

    def next(self, count):
        self.at += count
        return self.words[self.at - count:self.at]

    def uniform(self, shape=(), low=0.0, high=1.0):
        u = (self.next(int(np.prod(shape))) >> np.uint64(8)).astype(np.float32) * np.float32(2.0**
                                                                                             -24)
        return (np.float32(low) +
                (np.float32(high) - np.float32(low)) * u).astype(float).reshape(shape)

    def normal(self, shape):
        w = self.next(2 * int(np.prod(shape))).astype(float).reshape(-1, 2)
        u, t = (w[:, 0] + 0.5) * 2.0**-32, w[:, 1] * 2.0**-32
        return (np.sqrt(-2 * np.log(u)) * np.cos(6.283185307179586 * t)).astype(
            np.float32).astype(float).reshape(shape)

    def below(self, bound):
        return int(self.next(1)[0]) * bound >> 32


# --- shared parts ---

def gaussian(x, sigma):
    return skimage.filters.gaussian(x, sigma=sigma, channel_axis=-1 if x.ndim == 3 else None)


def clipped_zoom(img, factor):
    side = img.shape[0]
    crop = int(np.ceil(side / factor))
    top = (side - crop) // 2
    img = scipy.ndimage.zoom(img[top:top + crop, top:top + crop],
                             (factor, factor) + (1,) * (img.ndim - 2), order=1)
    trim = (img.shape[0] - side) // 2
    return img[trim:trim + side, trim:trim + side]


def motion(x, radius, sigma, angle):
    taps = int(2 * np.ceil(radius) + 1)
    kernel = np.exp(-np.arange(taps) ** 2 / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = np.pad(x, [(taps, taps), (taps, taps)] + [(0, 0)] * (x.ndim - 2), mode="edge")
    out, side = np.zeros_like(x), x.shape[0]
    for i, weight in enumerate(kernel):
        dx = int(np.ceil(i * np.cos(np.deg2rad(angle)) - 0.5))
        dy = int(np.ceil(i * np.sin(np.deg2rad(angle)) - 0.5))
        out += weight * padded[taps + dy:taps + dy + side, taps + dx:taps + dx + side]
    return out


def plasma(side, decay, random):
    array, wobble, step = np.zeros((side, side)), 100.0, side

    def moved(sums):
        return sums / 4 + wobble * random.uniform(sums.shape) * 2 * wobble - wobble * wobble

    while step >= 2:
        half = step // 2
        corners = array[::step, ::step]
        total = corners + np.roll(corners, -1, 0)
        total = total + np.roll(total, -1, 1)
        array[half::step, half::step] = moved(total)
        middles = array[half::step, half::step]
        array[::step, half::step] = moved(middles + np.roll(middles, 1, 0) + corners +
                                          np.roll(corners, -1, 1))
        array[half::step, ::step] = moved(middles + np.roll(middles, 1, 1) + corners +
                                          np.roll(corners, -1, 0))
        step, wobble = half, wobble / decay
    array -= array.min()
    return array / array.max()


# --- the corruptions: x is the 8-bit picture, r the random numbers, c the parameters; the result is

def gaussian_noise(x, r, c):
    return (x / 255 + c * r.normal(x.shape)) * 255


def shot_noise(x, r, c):
    w = r.next(2 * x.size).reshape(-1, 2)
    u = ((w[:, 0] << np.uint64(21)) ^ (w[:, 1] >> np.uint64(11))).astype(float) * 2.0**-53
    return scipy.stats.poisson.ppf(u.reshape(x.shape), x / 255 * c) / c * 255


def impulse_noise(x, r, c):
    u = r.uniform((x.size, 2))
    return np.where(u[:, 0] <= c, np.where(u[:, 1] <= 0.5, 255, 0), x.reshape(-1)).reshape(x.shape)


def speckle_noise(x, r, c):
    return (x / 255 + x / 255 * c * r.normal(x.shape)) * 255


def gaussian_blur(x, r, c):
    return gaussian(x / 255, c) * 255


def defocus_blur(x, r, c):
    half = 8 if c[0] <= 8 else c[0]
    a, b = np.meshgrid(np.arange(-half, half + 1), np.arange(-half, half + 1))
    disk = np.array(a**2 + b**2 <= c[0] ** 2, dtype=np.float32)
    disk = cv2.GaussianBlur(disk / disk.sum(), ksize=(3, 3) if c[0] <= 8 else (5, 5), sigmaX=c[1])
    return cv2.filter2D(x / 255, -1, disk) * 255


def glass_blur(x, r, c):
    sigma, reach, rounds = c
    x, side = np.uint8(gaussian(x / 255, sigma) * 255), x.shape[0]
    for _ in range(rounds):
        for h in range(side - reach, reach, -1):
            for w in range(side - reach, reach, -1):
                dx = r.below(2 * reach) - reach
                dy = r.below(2 * reach) - reach
                x[h, w], x[h + dy, w + dx] = x[h + dy, w + dx], x[h, w]
    return gaussian(x / 255, sigma) * 255


def motion_blur(x, r, c):
    return motion(x / 255, *c, float(r.uniform((), -45, 45))) * 255


def zoom_blur(x, r, c):
    factors = np.arange(1, *c)
    return (x / 255 + sum(clipped_zoom(x / 255, f) for f in factors)) / (len(factors) + 1) * 255


def snow(x, r, c):
    layer = clipped_zoom(r.normal(x.shape[:2]) * c[1] + c[0], c[2])
    layer[layer < c[3]] = 0
    angle = float(r.uniform((), -135, -45))
    layer = np.uint8(np.clip(layer, 0, 1) * 255) / 255
    layer = np.floor(motion(layer, c[4], c[5], angle) * 255 + 0.5)[..., None] / 255
    x = x / 255
    grey = cv2.cvtColor(x.astype(np.float32), cv2.COLOR_RGB2GRAY)[..., None]
    x = c[6] * x + (1 - c[6]) * np.maximum(x, grey * 1.5 + 0.5)
    return (x + layer + np.rot90(layer, 2)) * 255


def fog(x, r, c):
    side = x.shape[0]
    layer = plasma(1 << (side - 1).bit_length(), c[1], r)[:side, :side, None]
    return (x / 255 + c[0] * layer) * (x.max() / 255) / (x.max() / 255 + c[0]) * 255


def spatter(x, r, c):
    x = x.astype(np.float32) / 255
    liquid = gaussian(r.normal(x.shape[:2]) * c[1] + c[0], c[2])
    liquid[liquid < c[3]] = 0
    if c[5]:
        m = gaussian(np.where(liquid > c[3], 1.0, 0.0), c[4])
        m[m < 0.8] = 0
        return (x * (1 - m[..., None]) + m[..., None] * np.array([63, 42, 20]) / 255) * 255
    liquid = np.uint8(liquid * 255)
    distance = cv2.distanceTransform(255 - cv2.Canny(liquid, 50, 150), cv2.DIST_L2, 5)
    distance = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    distance = cv2.equalizeHist(distance)
    distance = cv2.filter2D(distance, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    m = liquid * cv2.blur(distance, (3, 3)).astype(np.float32)
    m = m / m.max() * c[4] if m.max() > 0 else m
    return np.clip(x + m[..., None] * np.array([175, 238, 238]) / 255, 0, 1) * 255


def brightness(x, r, c):
    x = skimage.color.rgb2hsv(x / 255)
    x[..., 2] = np.clip(x[..., 2] + c, 0, 1)
    return skimage.color.hsv2rgb(x) * 255


def saturate(x, r, c):
    x = skimage.color.rgb2hsv(x / 255)
    x[..., 1] = np.clip(x[..., 1] * c[0] + c[1], 0, 1)
    return skimage.color.hsv2rgb(x) * 255


def contrast(x, r, c):
    mean = x.mean((0, 1), keepdims=True)
    return (x - mean) * c + mean


def elastic_transform(x, r, c):
    side = x.shape[0]
    unit = side if side <= 64 else side * 244 / 224
    amount, sigma, affine = (unit * v for v in c)
    centre, reach = side // 2, side // 3
    start = np.float32([[centre + reach] * 2, [centre + reach, centre - reach],
                        [centre - reach] * 2])
    end = start + (2 * r.uniform((3, 2)) - 1) * affine
    # The exact affine map; OpenCV's warpAffine rounds places to 1/32 of a pixel.
    forward = np.linalg.solve(np.c_[start, np.ones(3)], end).T
    back = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))
    gx, gy = np.meshgrid(np.arange(side), np.arange(side))
    px, py = back[0, 0] * gx + back[0, 1] * gy + back[
        0, 2], back[1, 0] * gx + back[1, 1] * gy + back[1, 2]
    take = lambda img, y, x, mode: np.stack(
        [scipy.ndimage.map_coordinates(img[..., k], [y, x], order=1, mode=mode)
         for k in range(3)], -1)
    x = take(x / 255, py, px, "mirror")
    move = lambda: scipy.ndimage.gaussian_filter(2 * r.uniform(
        (side, side)) - 1, sigma, mode="reflect", truncate=3) * amount
    dx, dy = move(), move()
    return take(x, gy + dy, gx + dx, "reflect") * 255


def pixelate(x, r, c):
    side = x.shape[0]
    return np.array(
        Image.fromarray(x).resize((int(side * c), ) * 2, Image.BOX).resize((side, side), Image.BOX))


def jpeg_compression(x, r, c):
    file = BytesIO()
    Image.fromarray(x).save(file, "JPEG", quality=c)
    return np.array(Image.open(file))


CIFAR = {
    gaussian_noise: [.04, .06, .08, .09, .10], shot_noise: [500, 250, 100, 75, 50],
    impulse_noise: [.01, .02, .03, .05, .07], speckle_noise: [.06, .1, .12, .16, .2],
    gaussian_blur: [.4, .6, .7, .8, 1], defocus_blur: [(.3, .4), (.4, .5), (.5, .6), (1, .2),
                                                       (1.5, .1)], glass_blur: [(.05, 1, 1),
                                                                                (.25, 1, 1),
                                                                                (.4, 1, 1),
                                                                                (.25, 1, 2),
                                                                                (.4, 1, 2)],
    motion_blur: [(6, 1), (6, 1.5), (6, 2), (8, 2),
                  (9, 2.5)], zoom_blur: [(1.06, .01), (1.11, .01), (1.16, .01), (1.21, .01),
                                         (1.26, .01)], snow: [(.1, .2, 1, .6, 8, 3, .95),
                                                              (.1, .2, 1, .5, 10, 4, .9),
                                                              (.15, .3, 1.75, .55, 10, 4, .9),
                                                              (.25, .3, 2.25, .6, 12, 6, .85),
                                                              (.3, .3, 1.25, .65, 14, 12, .8)],
    fog: [(.2, 3), (.5, 3), (.75, 2.5), (1, 2), (1.5, 1.75)], spatter: [
        (.62, .1, .7, .7, .5, 0), (.65, .1, .8, .7, .5, 0), (.65, .3, 1, .69, .5, 0),
        (.65, .1, .7, .69, .6, 1), (.65, .1, .5, .68, .6, 1)
    ], brightness: [.05, .1, .15, .2, .3], contrast: [.75, .5, .4, .3, .15], saturate: [
        (.3, 0), (.1, 0), (1.5, 0), (2, .1), (2.5, .2)
    ], elastic_transform: [(0, 0, .08), (.05, .2, .07), (.08, .06, .06), (.1, .04, .05),
                           (.1, .03, .03)], pixelate: [.95, .9, .85, .75,
                                                       .65], jpeg_compression: [80, 65, 58, 50, 40]
}
IMAGENET = {
    gaussian_noise: [.08, .12, .18, .26,
                     .38], shot_noise: [60, 25, 12, 5, 3], impulse_noise: [.03, .06, .09, .17, .27],
    speckle_noise: [.15, .2, .35, .45,
                    .6], gaussian_blur: [1, 2, 3, 4,
                                         6], defocus_blur: [(3, .1), (4, .5), (6, .5), (8, .5),
                                                            (10, .5)], glass_blur: [(.7, 1, 2),
                                                                                    (.9, 2, 1),
                                                                                    (1, 2, 3),
                                                                                    (1.1, 3, 2),
                                                                                    (1.5, 4, 2)],
    motion_blur: [(10, 3), (15, 5), (15, 8), (15, 12),
                  (20, 15)], zoom_blur: [(1.11, .01), (1.16, .01), (1.21, .02), (1.26, .02),
                                         (1.31, .03)], snow: [(.1, .3, 3, .5, 10, 4, .8),
                                                              (.2, .3, 2, .5, 12, 4, .7),
                                                              (.55, .3, 4, .9, 12, 8, .7),
                                                              (.55, .3, 4.5, .85, 12, 8, .65),
                                                              (.55, .3, 2.5, .85, 12, 12, .55)],
    fog: [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)], spatter: [(.65, .3, 4, .69, .6, 0),
                                                                         (.65, .3, 3, .68, .6, 0),
                                                                         (.65, .3, 2, .68, .5, 0),
                                                                         (.65, .3, 1, .65, 1.5, 1),
                                                                         (.67, .4, 1, .65, 1.5, 1)],
    brightness: [.1, .2, .3, .4, .5], contrast: [.4, .3, .2, .1, .05], saturate: [
        (.3, 0), (.1, 0), (2, 0), (5, .1), (20, .2)
    ], elastic_transform: [(2, .7, .1), (2, .08, .2), (.05, .01, .02), (.07, .01, .02),
                           (.12, .01, .02)], pixelate: [.6, .5, .4, .3,
                                                        .25], jpeg_compression: [25, 18, 15, 10, 7]
}


def picture(side):
    """Gradients, a disk, stripes and a little noise."""
    y, x = np.mgrid[:side, :side] / side
    img = np.stack([0.2 + 0.7 * x, 0.3 + 0.4 * y, 0.8 - 0.5 * x * y], -1)
    img[(x - 0.4) ** 2 + (y - 0.5) ** 2 < 0.08] = [0.9, 0.75, 0.2]
    img += 0.12 * (np.sin(40 * x) * (y > 0.7))[..., None]
    img += 0.03 * Random(1, 0, site_of("picture")).normal(img.shape)
    return np.uint8(np.clip(img, 0, 1) * 255)


def write(path, tensors):
    header, body = {}, b""
    for name, array in sorted(tensors.items()):
        data = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": "U8", "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + len(data)]
        }
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def main():
    tensors = {}
    for side, table in ((32, CIFAR), (96, IMAGENET)):
        x = tensors[f"picture_{side}"] = picture(side)
        places = np.arange(PLACES) * x.size // PLACES
        for kind, parameters in table.items():
            rows = []
            for severity, c in enumerate(parameters, 1):
                random = Random(SEED, INDEX * 5 + severity, site_of(kind.__name__))
                result = np.clip(kind(x.copy(), random, c), 0, 255)
                rows.append(np.uint8(result + 2.55e-4).reshape(-1)[places])
            tensors[f"{kind.__name__}_{side}"] = np.stack(rows)
    write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "corruptions.safetensors"),
          tensors)


if __name__ == "__main__":
    main()
