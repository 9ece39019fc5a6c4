#!/usr/bin/env python3
# Makes augment.safetensors of test_augment.cpp: the picture operations of RandAugment and
# AutoAugment by timm, those of TrivialAugment by torchvision, on Pillow; AugMix by timm for given
# draws; crops scaled by torchvision; and, as metadata, timm's tables.
#   make_augment.py      writes augment.safetensors beside this script
# Made with timm 1.0.31, torchvision 0.29.0, Pillow 13.0.0. The file holds `picture` (12, 14, 3) u8
# and, for each case, a result; the name of a case is operation|magnitude|sign|sampling, of
# TrivialAugment trivial|operation|argument, of AugMix augmix|blended|share of the mix|shares of the
# chains|operation:magnitude:sign,...;..., of a crop crop|top,left,height,width|side|filter.
import json
import os
import random
import struct
from functools import partial
from unittest import mock

import numpy
from PIL import Image
from timm.data import auto_augment
from torchvision.transforms import InterpolationMode, autoaugment, functional

FILL = (129, 124, 112)
HEIGHT, WIDTH = 12, 14


def picture():
    """Smooth colours, edges and noise, without the darkest and the brightest values."""
    draw = numpy.random.default_rng(5)
    y, x = numpy.mgrid[:HEIGHT, :WIDTH]
    channels = [20 + 12 * x, 200 - 9 * y - 3 * x, 60 + 15 * ((x // 3 + y // 4) % 5)]
    values = numpy.stack(channels, -1) + draw.integers(0, 30, (HEIGHT, WIDTH, 3))
    return values.astype(numpy.uint8)


def by_timm(image, name, magnitude, sign, sampling, **more):
    kind = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[sampling]
    random.random = lambda: 0.9 if sign == "-" else 0.1  # what timm decides the sign by
    hparams = dict(translate_const=int(min(HEIGHT, WIDTH) * 0.45), img_mean=FILL,
                   interpolation=kind, magnitude_max=30, **more)
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


AUGMIX = {
    "basic": (0.62, (0.5, 0.2, 0.3),
              "Rotate:2.5:-,ColorIncreasing:1.75:+;TranslateXRel:2.25:+;"
              "Equalize:0:+,ShearY:3:-,SolarizeIncreasing:2:+"),
    "all": (1, (1,), "PosterizeIncreasing:3:+,TranslateYRel:2.75:-"),
    "blended": (0.37, (0.15, 0.6, 0.25),
                "ContrastIncreasing:2.5:-;ShearX:1.5:+,AutoContrast:0:+;SharpnessIncreasing:3:+"),
}


def augmix(image, blended, mix, shares, chains):
    """timm's class, its draws replaced."""
    def operation(text):
        name, magnitude, sign = text.split(":")
        return partial(by_timm, name=name, magnitude=float(magnitude), sign=sign,
                       sampling="bilinear", translate_pct=0.3)
    drawn = [[operation(text) for text in chain.split(",")] for chain in chains.split(";")]
    transform = auto_augment.AugMixAugment([], width=len(shares), blended=blended)
    with mock.patch.multiple(numpy.random, dirichlet=lambda _: shares, beta=lambda *_: mix,
                             choice=lambda *_, **__: drawn.pop(0)):
        return transform(image)


def crops():
    for box in ((0, 0, 12, 14), (2, 3, 7, 9), (5, 0, 3, 4)):
        for side in (5, 16):
            for kind in ("bilinear", "bicubic"):
                yield box, side, kind


def in_words(operations):
    return ",".join(f"{op.name}:{op.prob:g}:{op.magnitude:g}" for op in operations)


def tables():
    """timm's policies and sets of operations as text, by name."""
    for name in ("original", "originalr", "v0", "v0r", "3a"):
        policy = auto_augment.auto_augment_policy(name, dict(img_mean=FILL, translate_const=5))
        yield "policy " + name, ";".join(in_words(line) for line in policy)
    for name in ("rand-m9", "rand-m9-inc1", "rand-m9-tweights", "rand-m9-t3a", "rand-m9-t3aw"):
        drawn = auto_augment.rand_augment_transform(name, dict(img_mean=FILL, translate_const=5))
        weights = drawn.choice_weights
        weights = [1] * len(drawn.ops) if weights is None else weights
        yield "set " + name, ",".join(f"{op.name}:{w:.6g}" for op, w in zip(drawn.ops, weights))
    yield "augmix", in_words(auto_augment.augmix_ops(3, dict(img_mean=FILL)))


def write(path, tensors, metadata):
    header, body = {"__metadata__": metadata}, b""
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
    for name, (mix, shares, chains) in AUGMIX.items():
        result = augmix(image, name == "blended", mix, shares, chains)
        key = "|".join(("augmix", name, str(mix), ",".join(map(str, shares)), chains))
        tensors[key] = numpy.asarray(result)
    for box, side, kind in crops():
        result = functional.resized_crop(image, *box, [side, side], InterpolationMode(kind))
        tensors[f"crop|{','.join(map(str, box))}|{side}|{kind}"] = numpy.asarray(result)
    here = os.path.dirname(os.path.abspath(__file__))
    write(os.path.join(here, "augment.safetensors"), tensors, dict(tables()))


if __name__ == "__main__":
    main()
