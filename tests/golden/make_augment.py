#!/usr/bin/env python3
# Makes augment.safetensors of test_augment.cpp: the picture operations of RandAugment and
# AutoAugment by timm, those of TrivialAugment by torchvision, on Pillow.
#   make_augment.py      writes augment.safetensors beside this script
# Made with timm 1.0.31, torchvision 0.29.0, Pillow 13.0.0. The file holds `picture` (12, 14, 3) u8
# and, for each case, a result; the name of a case is operation|magnitude|sign|sampling, of
# TrivialAugment trivial|operation|argument.
import json
import os
import random
import struct

import numpy
from PIL import Image
from timm.data import auto_augment
from torchvision.transforms import InterpolationMode, autoaugment

FILL = (129, 124, 112)
HEIGHT, WIDTH = 12, 14


def picture():
    """Smooth colours, edges and noise, without the darkest and the brightest values."""
    draw = numpy.random.default_rng(5)
    y, x = numpy.mgrid[:HEIGHT, :WIDTH]
    channels = [20 + 12 * x, 200 - 9 * y - 3 * x, 60 + 15 * ((x // 3 + y // 4) % 5)]
    values = numpy.stack(channels, -1) + draw.integers(0, 30, (HEIGHT, WIDTH, 3))
    return values.astype(numpy.uint8)


def by_timm(image, name, magnitude, sign, sampling):
    kind = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[sampling]
    random.random = lambda: 0.9 if sign == "-" else 0.1  # what timm decides the sign by
    hparams = dict(translate_const=int(min(HEIGHT, WIDTH) * 0.45), img_mean=FILL,
                   interpolation=kind, magnitude_max=30)
    return auto_augment.AugmentOp(name, prob=1, magnitude=magnitude, hparams=hparams)(image)


def cases():
    for name in ("ShearX", "ShearY", "TranslateX", "TranslateY", "TranslateXRel", "TranslateYRel",
                 "Rotate"):
        for sampling in ("bilinear", "bicubic"):
            for magnitude, sign in ((4.3, "-"), (9, "+")):
                yield name, magnitude, sign, sampling
    for name in ("Color", "Contrast", "Brightness", "Sharpness"):
        for magnitude in (0, 3.7, 9):
            yield name, magnitude, "+", "bilinear"
        for magnitude, sign in ((9, "-"), (5.1, "+")):
            yield name + "Increasing", magnitude, sign, "bilinear"
    for name in ("AutoContrast", "Equalize", "Invert"):
        yield name, 5, "+", "bilinear"
    for name in ("Posterize", "PosterizeIncreasing", "PosterizeOriginal", "Solarize",
                 "SolarizeIncreasing", "SolarizeAdd", "Desaturate", "GaussianBlur"):
        for magnitude in (3, 9):
            yield name, magnitude, "+", "bilinear"


def trivial_cases():
    for name, argument in (("ShearX", 0.462), ("ShearY", -0.825), ("TranslateX", 5.3),
                           ("TranslateY", -3.2), ("Rotate", 40.5), ("Rotate", -121.5),
                           ("Posterize", 3), ("Solarize", 110.5), ("Brightness", -0.33),
                           ("Sharpness", 0.99)):
        yield name, argument


def write(path, tensors):
    header, body = {}, b""
    for name, array in tensors.items():
        data = numpy.ascontiguousarray(array, numpy.uint8).tobytes()
        header[name] = {"dtype": "U8", "shape": list(array.shape),
                        "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def main():
    values = picture()
    image = Image.fromarray(values)
    tensors = {"picture": values}
    for name, magnitude, sign, sampling in cases():
        result = by_timm(image, name, magnitude, sign, sampling)
        tensors[f"{name}|{magnitude}|{sign}|{sampling}"] = numpy.asarray(result)
    for name, argument in trivial_cases():
        result = autoaugment._apply_op(image, name, argument, InterpolationMode.NEAREST, None)
        tensors[f"trivial|{name}|{argument}"] = numpy.asarray(result)
    write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "augment.safetensors"), tensors)


if __name__ == "__main__":
    main()
