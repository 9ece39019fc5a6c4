#!/usr/bin/env python3
# Makes peers.txt: what networks of timm and torchvision call their tensors, which shapes these
# have, and in which layer timm's param_groups_layer_decay puts each parameter.
#   make_peers.py      writes peers.txt beside this script
# Made with PyTorch 2.15, torchvision 0.29 and timm 1.0.31.
#
# A network begins with "= OUR_NAME SIDE". A line then holds name, shape (AxB, - for a scalar) and
# layer (- for what is not trained, and for networks that timm does not group); "{a-b}" stands for
# the numbers from a to b, each of which is a layer further on.
import math
import os

import timm
import torchvision
from timm.optim import param_groups_layer_decay


def make(name, **options):
    return timm.create_model(name, num_classes=10, **options)


# our name, side of the pictures, and the peer
PEERS = (
    ("resnet18", 72, lambda: torchvision.models.resnet18(num_classes=10)),
    ("resnet50", 72, lambda: make("resnet50")),
    ("resnext50", 72, lambda: make("resnext50_32x4d")),
    ("CCC.CCCC.CCCCCC.CCC:rs", 72, lambda: make("resnetrs50")),
    ("resnetv2_50x1_bit", 72, lambda: make("resnetv2_50x1_bit")),
    ("vit_tiny_patch16", 64, lambda: make("vit_tiny_patch16_224", img_size=64)),
    ("deit_tiny_distilled_patch16", 64,
     lambda: make("deit_tiny_distilled_patch16_224", img_size=64)),
    ("swin_tiny", 224, lambda: make("swin_tiny_patch4_window7_224")),
    ("pit_ti", 224, lambda: make("pit_ti_224")),
    ("twins_svt_small", 224, lambda: make("twins_svt_small")),
    ("mixer_small_patch16", 224, lambda: make("mixer_s16_224")),
    ("lambda_resnet26t", 256, lambda: make("lambda_resnet26t")),
    ("lambda_resnet26rpt_256", 256, lambda: make("lambda_resnet26rpt_256")),
    ("botnet26t_256", 256, lambda: make("botnet26t_256")),
)


def layers_of(model):
    """The layer of each parameter, read off its learning rate."""
    if not hasattr(model, "group_matcher"):
        return {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    smallest = min(group["lr_scale"] for group in groups)
    return {names[id(parameter)]: round(math.log2(group["lr_scale"] / smallest))
            for group in groups for parameter in group["params"]}


def lines_of(model):
    layers = layers_of(model)
    rows = {name: ("x".join(map(str, tensor.shape)) or "-", layers.get(name, "-"))
            for name, tensor in model.state_dict().items()}
    lines = []
    while rows:
        name = next(iter(rows))
        pieces = name.split(".")
        best = [name]
        for at, piece in enumerate(pieces):
            run = [name]
            while piece.isdigit():
                next_name = ".".join(pieces[:at] + [str(int(piece) + len(run))] + pieces[at + 1:])
                shape, layer = rows[name]
                step = layer if layer == "-" else layer + len(run)
                if rows.get(next_name) != (shape, step):
                    break
                run.append(next_name)
            if len(run) > len(best):
                best = run
                label = ".".join(pieces[:at] + [f"{{{piece}-{int(piece) + len(run) - 1}}}"] +
                                 pieces[at + 1:])
        lines.append(" ".join(map(str, (label if len(best) > 1 else name, *rows[name]))))
        for done in best:
            del rows[done]
    return lines


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers.txt")
    with open(path, "w") as file:
        for name, side, build in PEERS:
            file.write("\n".join([f"= {name} {side}", *lines_of(build())]) + "\n")
    print(os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
