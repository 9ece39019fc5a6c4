#!/usr/bin/env python3
# Makes the golden files of test_foreign_weights.cpp: tables of positions resampled by timm's own
# functions, a picture as timm shows it to a network, and small files that torch.save has written.
# Made with PyTorch 2.15 and timm 1.0.31. Writes weights.safetensors (f64), weights_zip.pth,
# weights_old.pth and weights_checkpoint.pth beside this script.
import argparse
import collections
import os

import numpy
import torch
from PIL import Image
from timm.data import create_transform
from timm.layers import patch_embed, resample_abs_pos_embed
from timm.layers.pos_embed_rel import resize_rel_pos_bias_table_simple

from shared import normal, site_of, write

here = os.path.dirname(os.path.abspath(__file__))


def drawn(name, *shape):
    count = int(numpy.prod(shape, dtype=int))
    return torch.from_numpy(normal(7, site_of(name), count).astype(numpy.float32)).reshape(shape)


golden = {}
for name, old, new, tokens in [("grow", 4, 7, 1), ("shrink", 7, 3, 1), ("pooled", 5, 8, 0)]:
    table = drawn(name, 1, tokens + old * old, 6)
    golden[f"{name}.in"] = table
    golden[f"{name}.out"] = resample_abs_pos_embed(table, [new, new], num_prefix_tokens=tokens)
for name, old, new in [("wider", 3, 5), ("narrower", 7, 4)]:
    table = drawn(name, (2 * old - 1)**2, 4)
    golden[f"{name}.in"] = table
    golden[f"{name}.out"] = resize_rel_pos_bias_table_simple(table, (new, new),
                                                             ((2 * new - 1)**2, 4))

patch_embed.DTYPE_INTERMEDIATE = torch.float64  # a pseudo-inverse in f32 keeps five digits
for name, old, new in [("patch_shrinks", 4, 1), ("patch_less", 8, 4), ("patch_grows", 2, 3)]:
    kernels = drawn(name, 5, 3, old, old).double()
    golden[f"{name}.in"] = kernels
    golden[f"{name}.out"] = patch_embed.resample_patch_embed(kernels, [new, new])

# Tensors of every type, views of parts of a storage and in another order, a parameter, and what a
# checkpoint holds beside them.
base = drawn("base", 4, 6)
state = collections.OrderedDict()
state["module.whole"] = base
state["module.turned"] = base.t()
state["module.part"] = base[1:3, 2:5]
state["module.half"] = drawn("half", 5).half()
state["module.brain"] = drawn("brain", 5).bfloat16()
state["module.double"] = drawn("double", 2, 3).double()
state["module.parameter"] = torch.nn.Parameter(drawn("parameter", 3))
state["module.scalar"] = torch.tensor(2.5)
state["module.bn.num_batches_tracked"] = torch.tensor(17)
checkpoint = {"epoch": 3, "best": 91.5, "names": ["a", "b"], "state_dict": state}
for path, zipped in [("weights_zip.pth", True), ("weights_old.pth", False)]:
    torch.save(checkpoint, os.path.join(here, path), _use_new_zipfile_serialization=zipped)
for name, tensor in state.items():
    golden["file." + name] = tensor.detach().double()

# An older file whose weights stand between an optimiser's numbers and an average.
optimiser = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": drawn("average", 4, 6).double()}},
             "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0]}]}
average = collections.OrderedDict(whole=drawn("other", 4, 6))
torch.save({"optimizer": optimiser, "args": argparse.Namespace(lr=0.1, model="x"), "model": state,
            "model_ema": average}, os.path.join(here, "weights_checkpoint.pth"),
           _use_new_zipfile_serialization=False)

# A picture that the test draws by the same formula, as timm's transforms for testing show it.
y, x, c = numpy.meshgrid(range(20), range(29), range(3), indexing="ij")
picture = Image.fromarray(((y * 37 + x * 59 + c * 101 + x * y % 23 * 7) % 256).astype(numpy.uint8))
for name, side, crop, interpolation in [("small", 12, 0.875, "bicubic"),
                                        ("linear", 12, 0.9, "bilinear"),
                                        ("large", 24, 0.95, "bicubic")]:
    show = create_transform((3, side, side), interpolation=interpolation, crop_pct=crop,
                            mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    golden["picture." + name] = show(picture).permute(1, 2, 0)

write(os.path.join(here, "weights.safetensors"),
      {name: tensor.double().numpy() for name, tensor in golden.items()})
