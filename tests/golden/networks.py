# Layers and networks that no package has, in PyTorch.
import math

import timm.layers.bottleneck_attn
import timm.models.resnetv2
import torch
import torch.nn.functional as F
import torchvision.models.resnet
from torch import nn


class Lambda(nn.Module):
    """Lambda layer as the public ports write it: a 3-D convolution over the values (local) or a
    table (global)."""

    def __init__(self, width, side, scope, heads=4, k=16, u=1):
        super().__init__()
        self.heads, self.k, self.u, self.v, self.side = heads, k, u, width // heads, side
        self.conv_qkv = nn.Conv2d(width, heads * k + u * k + u * self.v, 1, bias=False)
        self.norm_q, self.norm_v = nn.BatchNorm2d(heads * k), nn.BatchNorm2d(u * self.v)
        if scope:
            self.lambda_conv = nn.Conv3d(u, k, (1, scope, scope),
                                         padding=(0, scope // 2, scope // 2))
        else:
            self.pos_emb = nn.Parameter(torch.zeros(2 * side - 1, 2 * side - 1, k, u))
            self.pos_emb.is_table = True

    def position(self, v, n):  # v (b, u, v, H, W) -> (b, k, v, n)
        if hasattr(self, "lambda_conv"):
            return self.lambda_conv(v).flatten(3)
        rows = torch.arange(n) // self.side
        columns = torch.arange(n) % self.side
        e = self.pos_emb[rows[None] - rows[:, None] + self.side - 1,
                         columns[None] - columns[:, None] + self.side - 1]
        return torch.einsum("nmku,buvm->bkvn", e, v.flatten(3))

    def forward(self, x):
        b, _, height, width = x.shape
        n = height * width
        q, k, v = torch.split(self.conv_qkv(x),
                              [self.heads * self.k, self.u * self.k, self.u * self.v], 1)
        q = self.norm_q(q).view(b, self.heads, self.k, n)
        k = k.reshape(b, self.u, self.k, n).softmax(-1)
        v = self.norm_v(v).view(b, self.u, self.v, height, width)
        content = torch.einsum("bukm,buvm->bkv", k, v.flatten(3))
        y = torch.einsum("bhkn,bkvn->bhvn", q, content.unsqueeze(-1) + self.position(v, n))
        return y.reshape(b, self.heads * self.v, height, width)


class WindowAttention(nn.Module):
    """Self-attention in p x p windows, one relative-position table for all heads (key minus
    query). Swin's form: one for each head, biases, and a shift with pairs that wrap around hidden.
    With a kernel, a depthwise convolution beside it."""

    def __init__(self, width, out, heads, depth, p, swin=False, shift=0, kernel=0):
        super().__init__()
        self.heads, self.depth, self.p, self.shift = heads, depth, p, shift
        self.qkv = nn.Conv2d(width, 3 * heads * depth, 1, bias=swin)
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros((2 * p - 1) ** 2, heads if swin else 1))
        if kernel:
            self.dwconv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.proj = nn.Conv2d(heads * depth, out, 1)

    def hidden(self, height, width):
        """-infinity where query and key came together by the shift: (windows, 1, T, T)."""
        regions = torch.zeros(height, width)
        for axis, side in ((regions, height), (regions.T, width)):
            axis[side - self.p:side - self.shift] += 1 if axis is regions else 3
            axis[side - self.shift:] += 2 if axis is regions else 6
        p = self.p
        ids = regions.view(height // p, p, width // p, p).transpose(1, 2).reshape(-1, 1, p * p)
        return torch.where(ids.transpose(1, 2) == ids, 0.0, -math.inf).unsqueeze(1)

    def forward(self, x):
        b, _, height, width = x.shape
        p, s, rows, columns = self.p, self.shift, height // self.p, width // self.p
        t = self.qkv(x).roll((-s, -s), (2, 3)).view(b, 3, self.heads, self.depth, rows, p, columns,
                                                    p)
        q, k, v = t.permute(1, 0, 4, 6, 2, 5, 7, 3).reshape(3, b * rows * columns, self.heads,
                                                            p * p, self.depth)
        index = torch.tensor([[(j // p - i // p + p - 1) * (2 * p - 1) + j % p - i % p + p - 1
                               for j in range(p * p)]
                              for i in range(p * p)])
        scores = q @ k.transpose(-1, -2) / math.sqrt(
            self.depth) + self.relative_position_bias_table[index].permute(2, 0, 1)
        if s:
            scores = scores + self.hidden(height, width).repeat(b, 1, 1, 1)
        y = (scores.softmax(-1) @ v).view(b, rows, columns, self.heads, p, p, self.depth)
        y = y.permute(0, 3, 6, 1, 4, 2, 5).reshape(b, -1, height, width).roll((s, s), (2, 3))
        return self.proj(y + self.dwconv(x) if hasattr(self, "dwconv") else y)


class RelativeAttention(timm.layers.bottleneck_attn.BottleneckAttn):
    """BoTNet's, as timm has it."""

    def __init__(self, width, side, heads):
        super().__init__(width, feat_size=(side, side), num_heads=heads)
        self.qkv.relative = True


class Pool(nn.Module):
    def forward(self, x):
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x


def mixer_of(letter, width, side, heads, stride):
    """What a letter puts in the place of a 3x3; a mean over 3x3 follows where it cannot stride."""
    if letter == "D":
        return nn.Conv2d(width, width, 5, stride, 2, groups=width, bias=False)
    if letter in "WSU":
        swin = {"S": {"shift": 2 if side > 4 else 0}, "U": {"kernel": 5}}.get(letter, {})
        heads = width // 4 if letter == "U" else heads
        module = WindowAttention(width, width, heads, 4, min(side, 4), True, **swin)
    elif letter == "B":
        module = RelativeAttention(width, side, width // 4)
    else:
        module = Pool() if letter == "P" else nn.Identity()
    if stride > 1:
        module.register_forward_hook(lambda m, i, o: F.avg_pool2d(o, 3, stride, 1))
    return module


class PreBasic(nn.Module):
    """With `pools` a map is halved by a pool behind the first 3x3."""

    def __init__(self, inputs, out, stride, pools=False):
        super().__init__()
        self.pools = pools
        step = 1 if pools else stride
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, out, 3, step, 1,
                                                                   bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(out), nn.Conv2d(out, out, 3, 1, 1, bias=False)
        if stride != 1 or inputs != out:
            self.downsample = nn.ModuleDict({"conv": nn.Conv2d(inputs, out, 1, step, bias=False)})

    def forward(self, x):
        active = F.relu(self.norm1(x))
        skip, y = x, self.conv1(active)
        if hasattr(self, "downsample"):
            skip = self.downsample["conv"](F.avg_pool2d(active, 2) if self.pools else active)
        return skip + self.conv2(F.relu(self.norm2(F.max_pool2d(y, 2) if self.pools else y)))


class PooledBasic(torchvision.models.resnet.BasicBlock):
    """Post-activation, halving its map by pools."""

    def __init__(self, inputs, out):
        super().__init__(inputs, out, downsample=nn.Sequential(
            nn.Conv2d(inputs, out, 1, bias=False), nn.BatchNorm2d(out)))

    def forward(self, x):
        y = F.relu(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        return F.relu(self.downsample(F.avg_pool2d(x, 2)) + self.bn2(self.conv2(y)))


class PreAttention(nn.Module):
    def __init__(self, channels, width, heads, depth, p):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.attn = WindowAttention(width, channels, heads, depth, p)

    def forward(self, x):
        return x + self.attn(self.norm2(self.conv1(F.gelu(self.norm1(x)))))


class PreMixed(PreBasic):
    def __init__(self, channels, name, module):
        super().__init__(channels, channels, 1)
        del self.conv2
        self.mixer = name
        setattr(self, name, module)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        return x + getattr(self, self.mixer)(F.relu(self.norm2(y)))


class PreNetwork(nn.Module):
    """Pre-activation network of a pattern of C and M, with timm's names. With a `pooled_stem` of
    so many channels every stage halves its map by pools."""

    def __init__(self, pattern, widths, bottleneck, heads, depth, pooled_stem=0):
        super().__init__()
        channels = pooled_stem or widths[0]
        self.stem = nn.ModuleDict({"conv": nn.Conv2d(3, channels, 3, 1, 1, bias=False)})
        self.stages = nn.ModuleList()
        for s, word in enumerate(pattern.split(".")):
            stage = nn.Module()
            stage.blocks = nn.ModuleList()
            out = widths[s] * (4 if bottleneck else 1)
            for i, letter in enumerate(word):
                stride = 2 if (s > 0 or pooled_stem) and i == 0 else 1
                if letter == "M":
                    stage.blocks.append(PreAttention(channels, widths[s], heads[s], depth, 4))
                elif bottleneck:
                    changes = stride > 1 or channels != out
                    stage.blocks.append(timm.models.resnetv2.PreActBottleneck(
                        channels, out, stride=stride, conv_layer=timm.layers.create_conv2d,
                        norm_layer=timm.layers.BatchNormAct2d,
                        proj_layer=timm.models.resnetv2.DownsampleConv if changes else None))
                else:
                    pools = pooled_stem > 0 and stride == 2
                    stage.blocks.append(PreBasic(channels, out, stride, pools))
                channels = out
            self.stages.append(stage)
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.ModuleDict({"fc": nn.Conv2d(channels, 10, 1)})

    def forward(self, x):
        x = self.stem["conv"](x)
        for stage in self.stages:
            for block in stage.blocks:
                x = block(x)
        return self.head["fc"](F.relu(self.norm(x)).mean((2, 3), keepdim=True)).flatten(1)
