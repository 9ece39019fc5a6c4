#!/usr/bin/env python3
# Makes pictures/ and pictures.safetensors of test_study.cpp: from the file of a picture to
# the logits of a network, by timm's own transform for testing and timm's networks, whose weights
# are those that the library draws (initial_values.py).
#   make_pictures.py      writes both beside this script
# Made with PyTorch 2.15, timm 1.0.31, Pillow 13.0.0. The file holds the logits, (pictures, 10), of
# each network; the pictures in the order of their names.
import os

import numpy
import timm.models.resnet
import timm.models.vision_transformer
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

from initial_values import initialise
from shared import write

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "pictures")


def draw(height, width, seed):
    """Smooth colours with a few edges: small as files, different under every filter."""
    y, x = numpy.mgrid[:height, :width]
    waves = [128 + 90 * numpy.sin(x / (7 + 3 * c) + seed + c) * numpy.cos(y / (9 - 2 * c))
             for c in range(3)]
    values = numpy.stack(waves, -1)
    values[(x - width / 3) ** 2 + (y - height / 2) ** 2 < (min(height, width) / 4) ** 2] += 60
    values[:, width * 3 // 4:width * 3 // 4 + 3] = (30, 200, 90)
    return Image.fromarray(values.clip(0, 255).astype(numpy.uint8))


def vit():
    return timm.models.vision_transformer.VisionTransformer(
        img_size=48, patch_size=4, embed_dim=128, depth=6, num_heads=4, num_classes=10,
        class_token=False, global_pool="avg", fc_norm=False)


def resnet():
    return timm.models.resnet.ResNet(timm.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)


# What a config.json in timm's format says; the test writes the same one beside the weights.
NETWORKS = {
    "vit": (vit, "vit", {"input_size": (3, 48, 48), "crop_pct": 0.9, "interpolation": "bicubic",
                         "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}),
    "resnet": (resnet, "torchvision", {
        "input_size": (3, 80, 80), "crop_pct": 0.875, "interpolation": "bilinear",
        "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}),
}


def main():
    os.makedirs(FOLDER, exist_ok=True)
    draw(70, 101, 1).save(os.path.join(FOLDER, "a.jpg"), quality=85)
    draw(66, 58, 2).save(os.path.join(FOLDER, "b.png"), optimize=True)
    draw(97, 64, 3).convert("L").save(os.path.join(FOLDER, "c.jpg"), quality=70)
    files = [os.path.join(FOLDER, name) for name in sorted(os.listdir(FOLDER))]
    logits = {}
    for name, (make, style, cfg) in NETWORKS.items():
        model = make()
        initialise(model, style)
        show = create_transform(**resolve_data_config({}, pretrained_cfg=cfg))
        images = torch.stack([show(Image.open(file).convert("RGB")) for file in files])
        with torch.no_grad():
            logits[name] = model.double().eval()(images.double()).numpy()
        print(name, show, logits[name][:, :3])
    write(os.path.join(HERE, "pictures.safetensors"), logits)


if __name__ == "__main__":
    main()
