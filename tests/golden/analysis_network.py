# A small vision transformer in plain PyTorch, f64, with the parameters and pictures that the
# library's own random numbers draw: what make_analysis.py analyses.
import math

import torch

from shared import normal, site_of, words

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
SEED, SIDE, PATCH, WIDTH, DEPTH, HEADS, CLASSES, COUNT = 5, 12, 4, 8, 2, 2, 4, 16
GRID = SIDE // PATCH
TOKENS = GRID * GRID + 1


def parameter_shapes():
    """In the library's order and layout: the patch embedding is (out, row, column, in)."""
    yield "cls_token", (1, 1, WIDTH)
    yield "pos_embed", (1, TOKENS, WIDTH)
    yield "patch_embed.proj.weight", (WIDTH, PATCH, PATCH, 3)
    yield "patch_embed.proj.bias", (WIDTH,)
    for i in range(DEPTH):
        for name, shape in (("norm1.weight", (WIDTH,)), ("norm1.bias", (WIDTH,)),
                            ("attn.qkv.weight", (3 * WIDTH, WIDTH)),
                            ("attn.qkv.bias", (3 * WIDTH,)), ("attn.proj.weight", (WIDTH, WIDTH)),
                            ("attn.proj.bias", (WIDTH,)),
                            ("norm2.weight", (WIDTH,)), ("norm2.bias", (WIDTH,)),
                            ("mlp.fc1.weight", (4 * WIDTH, WIDTH)), ("mlp.fc1.bias", (4 * WIDTH,)),
                            ("mlp.fc2.weight", (WIDTH, 4 * WIDTH)), ("mlp.fc2.bias", (WIDTH,))):
            yield f"blocks.{i}.{name}", shape
    yield "norm.weight", (WIDTH,)
    yield "norm.bias", (WIDTH,)
    yield "head.weight", (CLASSES, WIDTH)
    yield "head.bias", (CLASSES,)


def initial(name, shape):
    values = normal(SEED, site_of(name), math.prod(shape)).reshape(shape)
    if len(shape) == 1:
        return 0.1 * values + (1 if "norm" in name and name.endswith("weight") else 0)
    return 0.4 * values


SHAPES = dict(parameter_shapes())
PARAMETERS = {name: torch.from_numpy(initial(name, shape)) for name, shape in SHAPES.items()}
PIXELS = words(SEED, site_of("golden.pictures"), COUNT * SIDE * SIDE * 3)[:, 0] % 256
IMAGES = torch.from_numpy((PIXELS.astype(float) / 255 - 0.5) / 0.25).reshape(COUNT, SIDE, SIDE, 3)
LABELS = torch.arange(COUNT) % CLASSES


class Network:
    """The forward pass. `seen`: what analyses look at; `branches`, `skips`: replacements of part 0,
    1, ... on the way."""

    def __init__(self, p):
        self.p = p

    def __call__(self, images, branches={}, skips={}):
        self.seen = {"out": [], "branch": [], "skip": [], "attention": []}
        x = self.embed(images)
        self.seen["out"].append(x)
        for i in range(DEPTH):
            for part, kind in enumerate(("msa", "mlp")):
                b = getattr(self, kind)(i, x)
                self.seen["branch"].append(b)
                self.seen["skip"].append(x)
                index = 2 * i + part
                b = branches.get(index, lambda t: t)(b)
                x = skips.get(index, lambda t: t)(x) + b
                self.seen["out"].append(x)
        return self.read(x)

    def embed(self, images):
        n = len(images)
        patches = images.reshape(n, GRID, PATCH, GRID, PATCH,
                                 3).permute(0, 1, 3, 2, 4, 5).reshape(n, GRID * GRID, -1)
        x = patches @ self.p["patch_embed.proj.weight"].reshape(
            WIDTH, -1).T + self.p["patch_embed.proj.bias"]
        return torch.cat([self.p["cls_token"].expand(n, 1, WIDTH), x], 1) + self.p["pos_embed"]

    def read(self, x):
        x = self.norm("norm", x)[:, 0]
        return x @ self.p["head.weight"].T + self.p["head.bias"]

    def norm(self, name, x, held=None):
        """`held`: the same with the deviation of another input."""
        at = x if held is None else held
        deviation = torch.sqrt(at.var(-1, unbiased=False, keepdim=True) + 1e-6)
        return (x - x.mean(-1, keepdim=True)) / deviation * self.p[name + ".weight"] + self.p[
            name + ".bias"]

    def linear(self, name, x):
        return x @ self.p[name + ".weight"].T + self.p[name + ".bias"]

    def msa(self, i, x, held=None):
        n = len(x)
        qkv = self.linear(f"blocks.{i}.attn.qkv", self.norm(f"blocks.{i}.norm1", x, held))
        q, k, v = qkv.reshape(n, TOKENS, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        if held is None:
            a = (q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)).softmax(-1)
            self.seen["attention"].append(a)
        else:
            a = self.held_attention[i]
        y = (a @ v).permute(0, 2, 1, 3).reshape(n, TOKENS, WIDTH)
        return self.linear(f"blocks.{i}.attn.proj", y)

    def mlp(self, i, x, held=None):
        z = self.linear(f"blocks.{i}.mlp.fc1", self.norm(f"blocks.{i}.norm2", x, held))
        at = z if held is None else self.linear(f"blocks.{i}.mlp.fc1",
                                                self.norm(f"blocks.{i}.norm2", held))
        gate = 0.5 * (1 + torch.erf(at / math.sqrt(2)))
        return self.linear(f"blocks.{i}.mlp.fc2", z * gate)
