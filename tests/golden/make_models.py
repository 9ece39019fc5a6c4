#!/usr/bin/env python3
# Makes the golden files of test_models_golden.cpp: whole networks of torchvision, timm and plain
# PyTorch, run from the initial values, pictures and labels that the library itself draws (Philox,
# re-implemented here in numpy); the small ones in f64.
#   make_models.py [NAME ...]      writes NAME.safetensors beside this script
# Made with PyTorch 1.13, torchvision 0.14 (Debian 12: python3-torch, python3-torchvision) and timm
# 0.9.12 (pip install --no-deps timm==0.9.12 huggingface_hub safetensors); resnet20, bit, mixers,
# timm's attention ResNets and the families from swin on with PyTorch 2.15, torchvision 0.29 and
# timm 1.0.31. A file holds:
# loss, logits (N, K), norms (P) and entries (P, 4) of the gradient, curve (20) of training losses,
# and evaluation (N, K), the logits in evaluation mode after training, of some networks also views
# (N, K), averaged over six views of a picture. Its metadata holds what the
# test must repeat.
import functools
import math
import os
import sys

import numpy
import timm.models.resnet
import timm.models.deit
import timm.models.mlp_mixer
import timm.models.pit
import timm.models.resnetv2
import timm.models.swin_transformer
import timm.models.twins
import timm.models.vision_transformer
import torch
import torch.nn.functional as F
import torchvision.models
from torch import nn

from initial_values import SEED, initialise, memory_order
from networks import Lambda, PooledBasic, PreMixed, PreNetwork, mixer_of
from shared import normal, site_of, words, write

STEPS = 20


# --- networks ---

class PooledResNet(nn.Module):
    """Two stages of a pool each; the second one ends in a lambda block."""

    def __init__(self, stem, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem)
        last = torchvision.models.resnet.BasicBlock(2 * width, 2 * width)
        last.conv2 = Lambda(2 * width, 4, 3)
        self.layer1 = nn.Sequential(PooledBasic(stem, width))
        self.layer2 = nn.Sequential(PooledBasic(width, 2 * width), last)
        for block in (*self.layer1, *self.layer2):
            block.bn2.start = 0
        self.fc = nn.Linear(2 * width, 10)

    def forward(self, x):
        y = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        return self.fc(y.mean((2, 3)))


def cifar_stem(model, width=64):
    model.conv1, model.maxpool = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.Identity()
    return model


def lambda_resnet(scope, lambdas):
    """torchvision's bottlenecks, two stages of two from width 16; (stage, block) in `lambdas` get a
    lambda layer."""
    bottleneck = torchvision.models.resnet.Bottleneck
    model = cifar_stem(torchvision.models.ResNet(bottleneck, [1, 1, 1, 1]), 16)
    model.bn1, model.inplanes = nn.BatchNorm2d(16), 16
    model.layer1 = model._make_layer(bottleneck, 16, 2)
    model.layer2 = model._make_layer(bottleneck, 32, 2, stride=2)
    model.layer3 = model.layer4 = nn.Identity()
    model.fc = nn.Linear(128, 10)
    for stage, layer in enumerate((model.layer1, model.layer2)):
        for i, block in enumerate(layer):
            block.bn3.start = 0
            if (stage, i) in lambdas:
                stride = block.conv2.stride[0]
                module = Lambda(16 << stage, 16 * stride >> stage, scope)
                if stride > 1:
                    module.register_forward_hook(lambda m, i, o: F.avg_pool2d(o, 3, 2, 1))
                block.conv2 = module
    return model


class Mixed(torchvision.models.resnet.Bottleneck):
    """A bottleneck whose second place has another name than conv2."""

    def forward(self, x):
        y = self.attn(F.relu(self.bn1(self.conv1(x))))
        y = self.bn3(self.conv3(F.relu(self.bn2(y))))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


def mixed_resnet(pattern):
    """torchvision's bottlenecks from width 8, with the letters' mixers, for pictures of 16."""
    model = lambda_resnet(0, ())
    model.conv1, model.bn1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
    model.inplanes = 8
    for s, word in enumerate(pattern.split(".")):
        layer = model._make_layer(Mixed, 8 << s, len(word), 1 + (s > 0))
        for i, letter in enumerate(word):
            stride = layer[i].conv2.stride[0]
            module = mixer_of(letter, 8 << s, (16 >> s) * stride, 2 << s, stride)
            del layer[i].conv2
            if letter == "D":  # named conv2, as a convolution
                layer[i].conv2 = module
                layer[i].__class__ = torchvision.models.resnet.Bottleneck
            else:
                layer[i].attn = module
        setattr(model, f"layer{s + 1}", layer)
    model.fc = nn.Linear(32 << s, 10)
    return model


def mixed_preact(pattern):
    """Pre-activation basic blocks from width 8, every second one with a letter's mixer."""
    plain = ".".join("C" * len(word) for word in pattern.split("."))
    model = PreNetwork(plain, (8, 16, 32, 64), False, (), 0)
    for s, word in enumerate(pattern.split(".")):
        for i, letter in enumerate(word):
            if letter != "C":
                model.stages[s].blocks[i] = PreMixed(
                    8 << s, "conv2" if letter == "D" else "attn",
                    mixer_of(letter, 8 << s, 16 >> s, 2 << s, 1))
    return model


def bit():
    """timm's ResNetV2 with BiT's layers, two stages from width 32."""
    return timm.models.resnetv2.ResNetV2(
        (1, 2), channels=(128, 256), num_classes=10, stem_chs=32, stem_type="fixed",
        conv_layer=functools.partial(timm.layers.StdConv2d, eps=1e-8))


def byob(name, **options):
    """timm's, whose branches start at 0."""
    model = timm.create_model(name, num_classes=10, **options)
    for path, module in model.named_modules():
        if path.endswith("conv3_1x1.bn"):
            module.start = 0
    return model


class PaddedShortcut(nn.Module):
    """He et al. 2016, section 4.2: every other pixel, and channels of zeros on either side."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.channels // 2, self.channels // 2))


def cifar_resnet(n):
    model = lambda_resnet(0, ())
    model.inplanes = 16
    for s, width in enumerate((16, 32, 64)):
        layer = model._make_layer(torchvision.models.resnet.BasicBlock, width, n, 1 + (s > 0))
        if s > 0:
            layer[0].downsample = PaddedShortcut(width // 2)
        setattr(model, f"layer{s + 1}", layer)
    model.linear, model.fc = nn.Linear(64, 10), nn.Identity()
    forward = model.forward
    model.forward = lambda x: model.linear(forward(x))
    return model


def vit(patch, **options):
    return timm.models.vision_transformer.VisionTransformer(img_size=32, patch_size=patch,
                                                            num_classes=10, **options)


def swin():
    return timm.models.swin_transformer.SwinTransformer(
        img_size=16, patch_size=1, window_size=4, embed_dim=32, depths=(2, 2, 2, 2),
        num_heads=(1, 2, 4, 8), qkv_bias=False, drop_path_rate=0, num_classes=10)


def pit():
    return timm.models.pit.PoolingVisionTransformer(
        img_size=16, patch_size=4, stride=2, base_dims=(32,) * 3, depth=(2, 2, 2),
        heads=(2, 4, 8), num_classes=10)


def twins():
    return timm.models.twins.Twins(
        img_size=16, patch_size=1, embed_dims=(32, 64, 128, 256), num_heads=(1, 2, 4, 8),
        depths=(2, 2, 2, 2), wss=(4, 4, 4, 2), sr_ratios=(8, 4, 2, 1), num_classes=10)


def mixer():
    return timm.models.mlp_mixer.MlpMixer(img_size=16, patch_size=4, num_blocks=6, embed_dim=128,
                                          num_classes=10)


def deit():
    return timm.models.deit.VisionTransformerDistilled(
        img_size=16, patch_size=4, embed_dim=192, depth=12, num_heads=3, num_classes=10)


class Hydra(nn.Module):
    """Bolya et al. 2022: as many heads as channels, the cosine for a kernel."""

    def __init__(self, width):
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, **_):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        kv = (F.normalize(k, dim=-1) * v).sum(dim=-2, keepdim=True)
        return self.proj(F.normalize(q, dim=-1) * kv)


def hydra():
    model = timm.models.vision_transformer.VisionTransformer(
        img_size=16, patch_size=4, num_classes=10, embed_dim=128, depth=6, num_heads=4,
        class_token=False, global_pool="avg", fc_norm=False)
    for block in model.blocks:
        block.attn = Hydra(128)
    return model


class LocalAttention(nn.Module):
    """Keys and values of the k x k neighbourhood by unfolding the zero-padded map, as Park and Kim
    2022: padded keys take part. k even: all tokens."""

    def __init__(self, width, heads, kernel):
        super().__init__()
        self.heads, self.kernel = heads, kernel
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)

    def around(self, t):  # (b, H, W, c) -> (b, heads, H W, keys, d)
        b, height, width, c = t.shape
        if self.kernel % 2 == 0:
            t = t.reshape(b, 1, height * width, c).expand(b, height * width, -1, c)
        else:
            t = F.unfold(t.permute(0, 3, 1, 2), self.kernel, padding=self.kernel // 2)
            t = t.view(b, c, self.kernel ** 2, height * width).permute(0, 3, 2, 1)
        return t.unflatten(3, (self.heads, -1)).permute(0, 3, 1, 2, 4)

    def forward(self, x):  # (b, H, W, c)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q = q.flatten(1, 2).unflatten(2, (self.heads, -1)).transpose(1, 2).unsqueeze(3)
        p = (q @ self.around(k).transpose(3, 4) / math.sqrt(q.shape[-1])).softmax(-1)
        y = (p @ self.around(v)).squeeze(3)  # (b, heads, H W, d)
        return self.proj(y.transpose(1, 2).flatten(2).view(x.shape))


class ConvVit(nn.Module):
    def __init__(self, kernel, side=4, width=128, heads=4, depth=6):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, width, 4, 4)
        self.pos_embed = nn.Parameter(torch.zeros(1, side * side, width))
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            block = nn.Module()
            block.norm1, block.attn = nn.LayerNorm(width), LocalAttention(width, heads, kernel)
            block.norm2 = nn.LayerNorm(width)
            block.mlp = timm.layers.Mlp(width, 4 * width)
            self.blocks.append(block)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch_embed.proj(x).permute(0, 2, 3, 1)
        x = x + self.pos_embed.view(1, *x.shape[1:])
        for block in self.blocks:
            x = x + block.attn(block.norm1(x))
            x = x + block.mlp(block.norm2(x))
        return self.head(self.norm(x.mean((1, 2))))


class Cct(nn.Module):
    """Hassani et al. 2021: two convolutions with ReLU and pooling, blocks whose second branch is
    added to the normalised stream, and a weighted mean of the tokens."""

    def __init__(self, width=128, heads=2, depth=2, tokens=16):
        super().__init__()
        self.tokenizer, self.classifier = nn.Module(), nn.Module()
        self.tokenizer.conv_layers = nn.Sequential(*(nn.Sequential(
            nn.Conv2d(i, o, 3, 1, 1, bias=False), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        ) for i, o in ((3, 64), (64, width))))
        self.classifier.positional_emb = nn.Parameter(torch.zeros(1, tokens, width))
        self.classifier.attention_pool = nn.Linear(width, 1)
        self.classifier.blocks = nn.ModuleList()
        for _ in range(depth):
            block = nn.Module()
            block.pre_norm = nn.LayerNorm(width)
            block.self_attn = timm.layers.Attention(width, heads)
            block.linear1, block.norm1 = nn.Linear(width, width), nn.LayerNorm(width)
            block.linear2 = nn.Linear(width, width)
            self.classifier.blocks.append(block)
        self.classifier.norm, self.classifier.fc = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):
        c = self.classifier
        x = self.tokenizer.conv_layers(x).flatten(2).transpose(1, 2) + c.positional_emb
        for block in c.blocks:
            x = block.norm1(x + block.self_attn(block.pre_norm(x)))
            x = x + block.linear2(F.gelu(block.linear1(x)))
        x = c.norm(x)
        return c.fc((c.attention_pool(x).softmax(1) * x).sum(1))


class ConvGroup(nn.Module):
    """Jordan 2024: two convolutions, the first one pooled; a third one on a residual branch."""

    def __init__(self, i, o, residual):
        super().__init__()
        self.residual = residual
        for n in (1, 2, 3) if residual else (1, 2):
            setattr(self, f"conv{n}", nn.Conv2d(i if n == 1 else o, o, 3, 1, 1, bias=False))
            norm = nn.BatchNorm2d(o, eps=1e-12, momentum=0.1 if residual else 0.4)
            norm.weight.requires_grad = False
            setattr(self, f"norm{n}", norm)

    def forward(self, x):
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        y = F.gelu(self.norm2(self.conv2(x)))
        return F.gelu(x + self.norm3(self.conv3(y))) if self.residual else y


class Airbench(nn.Module):
    def __init__(self, widths, residual=False):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.zero_bias = True
        pairs = zip((24, *widths), widths)
        self.layers = nn.Sequential(nn.GELU(), *(ConvGroup(*pair, residual) for pair in pairs))
        self.head = nn.Linear(widths[-1], 10, bias=False)

    def forward(self, x):
        return self.head(F.max_pool2d(self.layers(self.whiten(x)), 3).flatten(1)) / 9


def over_views(model, x):
    """Logits averaged over six views: mirrored or not, a half of it moved by a pixel."""
    padded, (h, w) = F.pad(x, (1, 1, 1, 1), "reflect"), x.shape[2:]
    views = [(x, 1 / 4), (padded[:, :, :h, :w], 1 / 8), (padded[:, :, 2:, 2:], 1 / 8)]
    return sum(weight * (model(view) + model(view.flip(3))) for view, weight in views)


# name -> (network, style, the library's model, image side, pictures, learning rate, type[, steps])
SINGLE, DOUBLE = torch.float32, torch.float64
WIDTHS = (64, 128, 256, 512)
CASES = {
    "resnet50": (lambda: cifar_stem(torchvision.models.resnet50(num_classes=10)), "torchvision",
                 "resnet50", 32, 4, 0.0001, DOUBLE),
    "resnet18_large": (lambda: torchvision.models.resnet18(num_classes=10), "torchvision",
                       "resnet18", 96, 4, 0.001, SINGLE),
    "resnet20": (lambda: cifar_resnet(3), "torchvision", "resnet20", 32, 4, 0.01, DOUBLE),
    "resnext50": (lambda: cifar_stem(torchvision.models.resnext50_32x4d(num_classes=10)),
                  "torchvision", "resnext50", 32, 4, 0.001, SINGLE),
    "resnet_rs50": (lambda: timm.create_model("resnetrs50", num_classes=10), "torchvision",
                    "CCC.CCCC.CCCCCC.CCC:rs", 96, 4, 0.001, SINGLE),
    "mixers": (lambda: mixed_resnet("WS.DP.UI.BS"), "torchvision",
               "WS.DP.UI.BS:bottleneck,width=8,heads=2,head_dim=4,window=4,kernel=5", 16, 4, 0.0001,
               DOUBLE),
    "mixers_preact": (lambda: mixed_preact("CD.CSW.CB.CUP"), "default",
                      "CD.CSW.CB.CUP:preact,basic,width=8,heads=2,head_dim=4,window=4,kernel=5", 16,
                      4, 0.01, DOUBLE),
    "bit": (bit, "default", "C.CC:bit,bottleneck,width=32", 96, 2, 0.01, DOUBLE),
    "lambda_resnet26t": (lambda: byob("lambda_resnet26t"), "torchvision", "lambda_resnet26t", 96,
                         2, 0.0001, DOUBLE, 1),
    "lambda_resnet26rpt": (lambda: byob("lambda_resnet26rpt_256", img_size=96), "torchvision",
                           "lambda_resnet26rpt_256", 96, 2, 0.0001, DOUBLE, 1),
    "botnet26t": (lambda: byob("botnet26t_256", img_size=96), "torchvision", "botnet26t_256", 96,
                  2, 0.0001, DOUBLE, 1),
    "preact_resnet50": (lambda: PreNetwork("CCC.CCCC.CCCCCC.CCC", WIDTHS, True, (), 0), "default",
                        "preact_resnet50", 32, 4, 0.0005, DOUBLE),
    "vit_tiny": (lambda: vit(4, embed_dim=192, depth=12, num_heads=3), "vit", "vit_tiny_patch4", 32,
                 4, 0.01, SINGLE),
    "vit_pooled": (lambda: vit(4, embed_dim=128, depth=6, num_heads=4, class_token=False,
                               global_pool="avg", fc_norm=False), "vit",
                   "vit_128x6_patch4_gap", 32, 4, 0.01, DOUBLE),
    "swin": (swin, "vit", "swin", 16, 4, 0.01, DOUBLE),
    "pit": (pit, "default", "pit", 16, 4, 0.01, DOUBLE),
    "twins": (twins, "twins", "twins", 16, 4, 0.01, DOUBLE),
    "mixer": (mixer, "default", "mixer", 16, 4, 0.01, DOUBLE),
    "deit_distilled": (deit, "vit", "deit_tiny_distilled_patch4", 16, 4, 0.01, SINGLE),
    "vit_hydra": (hydra, "vit", "vit_128x6_patch4_gap_hydra", 16, 4, 0.01, DOUBLE),
    "convvit_kernel3": (lambda: ConvVit(3), "default", "convvit_kernel3", 16, 4, 0.01, DOUBLE),
    "convvit_kernel4": (lambda: ConvVit(4), "default", "convvit_kernel4", 16, 4, 0.01, DOUBLE),
    "cct": (Cct, "cct", "cct_2_3x2", 16, 4, 0.01, DOUBLE),
    "airbench": (lambda: Airbench((16, 24, 24)), "default", "airbench_16_24_24", 32, 4, 0.05,
                 DOUBLE),
    "airbench_residual": (lambda: Airbench((8, 16, 24), True), "default",
                          "airbench_8_16_24_residual", 32, 4, 0.05, DOUBLE),
    "lambda_local": (lambda: lambda_resnet(7, {(0, 1), (1, 0)}), "torchvision",
                     "CL.LC:bottleneck,width=16,scope=7", 16, 4, 0.01, DOUBLE),
    "lambda_global": (lambda: lambda_resnet(0, {(0, 1), (1, 0)}), "torchvision",
                      "CL.LC:bottleneck,width=16,scope=0", 16, 4, 0.01, DOUBLE),
    "alternet_50": (lambda: PreNetwork("CCC.CCCM.CCCCCM.CMCM", WIDTHS, True, (3, 6, 12, 24), 64),
                    "default", "alternet_50", 32, 4, 0.0005, DOUBLE),
    "pooled": (lambda: PooledResNet(6, 16), "torchvision",
               "C.CL:basic,width=16,stem=6,stride=2,pooled,scope=3", 16, 4, 0.01, DOUBLE),
    "pooled_preact": (lambda: PreNetwork("C.CCM", (8, 16), False, (1, 2), 8, 6), "default",
                      "C.CCM:width=8,heads=1,head_dim=8,stem=6,stride=2,pooled", 16, 4, 0.05,
                      DOUBLE),
    "alternet_basic": (lambda: PreNetwork("CC.CM.CM", (8, 16, 32), False, (1, 2, 4), 8), "default",
                       "CC.CM.CM:width=8,heads=1,head_dim=8", 16, 4, 0.05, DOUBLE),
}


# --- running and writing ---

def run(make, style, model_name, side, count, lr, dtype, steps=STEPS):
    model = make().to(dtype)
    initialise(model, style)
    shape = (count, side, side, 3)
    images = torch.from_numpy(normal(SEED, site_of("golden.images"), math.prod(shape))).view(shape)
    labels = torch.from_numpy((words(SEED, site_of("golden.labels"), count)[:, 0] % 10).astype(int))
    x = images.permute(0, 3, 1, 2).contiguous().to(dtype)
    optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    names = [name for name, _ in model.named_parameters()]
    result = {}
    curve = []
    model.train()
    for step in range(steps):
        logits = model(x)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        curve.append(loss.item())
        if step == 0:
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad
                         for p in model.parameters()]  # none of what stays as it is
            flat = [memory_order(g, p).reshape(-1).numpy()
                    for g, p in zip(gradients, model.parameters())]
            result["loss"], result["logits"] = numpy.array(curve[0]), logits.detach().numpy()
            result["norms"] = numpy.array([numpy.linalg.norm(g) for g in flat])
            result["entries"] = numpy.stack(
                [g[[0, len(g) // 3, 2 * len(g) // 3, len(g) - 1]] for g in flat])
        optimiser.step()
    model.eval()
    result["curve"] = numpy.array(curve)
    result["evaluation"] = model(x).detach().numpy()
    if isinstance(model, Airbench):
        result["views"] = over_views(model, x).detach().numpy()
    metadata = {
        "model": model_name, "side": str(side), "images": str(count), "lr": repr(lr),
        "names": "\n".join(names)
    }
    return result, metadata


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    for name in sys.argv[1:] or CASES:
        result, metadata = run(*CASES[name])
        path = os.path.join(here, name + ".safetensors")
        write(path, result, metadata)
        print(
            f"{name}: {os.path.getsize(path)} bytes, loss {result['curve'][0]:.4f} to"
            f" {result['curve'][-1]:.4f}"
        )


if __name__ == "__main__":
    main()
