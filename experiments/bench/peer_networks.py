"""The library's networks in PyTorch, as one with experience would write them, for peer_torch.py.

What a network is made of is read off the names and shapes of its tensors, which are torchvision's
and timm's.
"""
import re

import torch
import torch.nn.functional as F
from torch import nn

HEAD_DIM = 64  # of attention: the one thing that shapes do not tell
# Places up to which a lambda layer multiplies by a table of all pairs; a convolution above.
DENSE = 256


def attend(q, k, v, bias=None):
    """Of (..., heads, tokens, depth); `bias` is added to the scores."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v,
                                              attn_mask=None if bias is None else bias.to(q.dtype))
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    return (scores if bias is None else scores + bias).softmax(-1) @ v


class Network(nn.Module):
    """Holds the tensors by their names, in which "/" stands for "."."""

    def __init__(self, tensors):
        super().__init__()
        for name, tensor in tensors.items():
            key = name.replace(".", "/")
            if re.search(r"running_(mean|var)$", name):
                self.register_buffer(key, tensor)
            elif not name.endswith("num_batches_tracked"):
                # Of a 3-D convolution in the picture's plane, the plane.
                self.register_parameter(
                    key, nn.Parameter(tensor[:, :, 0] if tensor.dim() == 5 else tensor))
        self.names = {name.replace("/", ".") for name, _ in self.named_parameters()}

    def get(self, name):
        return getattr(self, name.replace(".", "/"))

    def has(self, name):
        return name in self.names

    def count(self, pattern):
        """Number of different first groups of `pattern` among the names."""
        return len({m.group(1) for m in (re.match(pattern, name) for name in self.names) if m})

    def bias(self, name):
        return self.get(name + ".bias") if self.has(name + ".bias") else None

    def conv(self, name, x, stride=1, padding=None):
        weight = self.get(name + ".weight")
        padding = weight.shape[-1] // 2 if padding is None else padding
        return F.conv2d(x, weight, self.bias(name), stride, padding, 1,
                        x.shape[1] // weight.shape[1])

    def bn(self, name, x):
        return F.batch_norm(x, self.get(name + ".running_mean"), self.get(name + ".running_var"),
                            self.get(name + ".weight"), self.get(name + ".bias"), True)

    def linear(self, name, x):
        return F.linear(x, self.get(name + ".weight").flatten(1), self.bias(name))

    def layer_norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.get(name + ".weight"), self.get(name + ".bias"),
                            1e-6)


class ResNet(Network):
    """Post-activation blocks, of which some have a lambda layer in place of the 3x3 convolution."""

    def __init__(self, tensors, side):
        super().__init__(tensors)
        self.blocks = [(f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1)
                       for layer in range(1, 7)
                       for block in range(self.count(rf"layer{layer}\.(\d+)\."))]
        # For each size of map that a dense lambda layer may see: row and column of every pair in
        # its table.
        for size in {side >> shift for shift in range(6)}:
            if any("lambda" in name for name in self.names) and 0 < size * size <= DENSE:
                place = torch.arange(size * size)
                rows, columns = place // size, place % size
                self.register_buffer(f"rows{size}", rows[None] - rows[:, None] + size - 1,
                                     persistent=False)
                self.register_buffer(f"columns{size}", columns[None] - columns[:, None] + size - 1,
                                     persistent=False)

    def forward(self, x):
        large = self.get("conv1.weight").shape[-1] == 7
        x = F.relu(self.bn("bn1", self.conv("conv1", x, 2 if large else 1)))
        x = F.max_pool2d(x, 3, 2, 1) if large else x
        for name, stride in self.blocks:
            x = self.block(name, x, stride)
        return self.linear("fc", x.mean((2, 3)))

    def block(self, name, x, stride):
        skip = self.shortcut(name + ".downsample", x, stride)
        last = 3 if self.has(name + ".conv3.weight") else 2
        for i in range(1, last + 1):
            step = stride if i == last - 1 else 1
            if self.has(f"{name}.conv{i}.weight"):
                x = self.conv(f"{name}.conv{i}", x, step)
            else:
                x = self.lambda_layer(f"{name}.conv{i}", x)
                x = F.avg_pool2d(x, 3, step, 1) if step > 1 else x
            x = self.bn(f"{name}.bn{i}", x)
            x = F.relu(x) if i < last else F.relu(self.excited(name + ".se", x) + skip)
        return x

    def shortcut(self, name, x, stride):
        if self.has(name + ".0.weight"):
            return self.bn(name + ".1", self.conv(name + ".0", x, stride))
        if self.has(name + ".1.weight"):  # ResNet-D: pooled first
            x = F.avg_pool2d(x, 2, stride, 0, True, False) if stride > 1 else x
            return self.bn(name + ".2", self.conv(name + ".1", x))
        return x

    def excited(self, name, x):
        if not self.has(name + ".fc1.weight"):
            return x
        gate = F.relu(self.conv(name + ".fc1", x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.conv(name + ".fc2", gate))

    def lambda_layer(self, name, x):
        """Bello 2021 with u = 1, lambdas first: of the content, and of positions by `position`."""
        batch, _, height, width = x.shape
        depth = self.get(name + ".lambda_conv.weight").shape[0]
        queries = self.get(name + ".norm_q.weight").shape[0]
        values = self.get(name + ".norm_v.weight").shape[0]
        q, k, v = self.conv(name + ".conv_qkv", x).split([queries, depth, values], 1)
        q = self.bn(name + ".norm_q", q).reshape(batch, queries // depth, depth, height * width)
        v = self.bn(name + ".norm_v", v)
        k = k.reshape(batch, depth, height * width).softmax(-1)
        content = k @ v.reshape(batch, values, height * width).transpose(1, 2).to(k.dtype)
        # (b, k, v, n)
        lambdas = content.unsqueeze(-1).to(v.dtype) + self.position(name + ".lambda_conv", v)
        return torch.einsum("bhkn,bkvn->bhvn", q, lambdas).reshape(batch, -1, height, width)

    def position(self, name, v):
        """(b, v, H, W) -> (b, k, v, H W): the convolution by one filter for all values."""
        batch, values, height, width = v.shape
        weight = self.get(name + ".weight")  # (k, 1, r, r)
        bias, reach = self.get(name + ".bias"), weight.shape[-1] // 2
        if height * width > DENSE:
            y = F.conv2d(v.reshape(batch * values, 1, height, width), weight, bias, 1, reach)
            return y.reshape(batch, values, -1, height * width).transpose(1, 2)
        around = height - 1 - reach
        taps = F.pad(weight[:, 0], (around, around, around, around))  # (k, 2 H - 1, 2 W - 1)
        # (k, n, m)
        table = taps[:, getattr(self, f"rows{height}"), getattr(self, f"columns{width}")]
        y = torch.einsum("knm,bvm->bkvn", table, v.flatten(2))
        return y + bias.to(y.dtype).view(-1, 1, 1)


class PreactResNet(Network):
    """Pre-activation blocks, and AlterNet's blocks of self-attention in windows."""

    def __init__(self, tensors, side):
        super().__init__(tensors)
        self.blocks = [(f"stages.{stage}.blocks.{block}", 2 if stage > 0 and block == 0 else 1)
                       for stage in range(6)
                       for block in range(self.count(rf"stages\.{stage}\.blocks\.(\d+)\."))]
        attention = [name for name, _ in self.blocks if self.has(name + ".attn.qkv.weight")]
        for p in {self.window(name) for name in attention}:
            place = torch.arange(p * p)
            rows, columns = place // p, place % p
            down, right = rows[None] - rows[:, None], columns[None] - columns[:, None]
            index = (down + p - 1) * (2 * p - 1) + right + p - 1
            self.register_buffer(f"index{p}", index, persistent=False)

    def window(self, name):
        """Side of the windows: the table has (2 p - 1)^2 rows."""
        rows = self.get(name + ".attn.relative_position_bias_table").shape[0]
        return (round(rows ** 0.5) + 1) // 2

    def forward(self, x):
        large = self.get("stem.conv.weight").shape[-1] == 7
        x = self.conv("stem.conv", x, 2 if large else 1)
        x = F.max_pool2d(x, 3, 2, 1) if large else x
        for name, stride in self.blocks:
            attends = self.has(name + ".attn.qkv.weight")
            x = self.attention_block(name, x, stride) if attends else self.block(name, x, stride)
        return self.linear("head.fc", F.relu(self.bn("norm", x)).mean((2, 3)))

    def shortcut(self, name, x, active, stride):
        if not self.has(name + ".downsample.conv.weight"):
            return x
        return self.conv(name + ".downsample.conv", active, stride)

    def block(self, name, x, stride):
        last = 3 if self.has(name + ".conv3.weight") else 2
        y = F.relu(self.bn(name + ".norm1", x))
        skip = self.shortcut(name, x, y, stride)
        for i in range(1, last + 1):
            y = self.conv(f"{name}.conv{i}", y, stride if i == last - 1 else 1)
            if i < last:
                y = F.relu(self.bn(f"{name}.norm{i + 1}", y))
        return skip + y

    def attention_block(self, name, x, stride):
        active = F.gelu(self.bn(name + ".norm1", x))
        y = self.bn(name + ".norm2", self.conv(name + ".conv1", active, stride))
        return self.shortcut(name, x, active, stride) + self.attention(name, y)

    def attention(self, name, x):
        p = self.window(name)
        qkv = self.conv(name + ".attn.qkv", x)
        batch, width, rows, columns = qkv.shape
        heads, rows, columns = width // (3 * HEAD_DIM), rows // p, columns // p
        t = qkv.permute(0, 2, 3, 1).reshape(batch, rows, p, columns, p, 3, heads, HEAD_DIM)
        q, k, v = t.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, batch * rows * columns, heads, p * p,
                                                            HEAD_DIM)
        bias = self.get(name + ".attn.relative_position_bias_table")[getattr(self, f"index{p}"), 0]
        y = attend(q, k, v, bias).reshape(batch, rows, columns, heads, p, p, HEAD_DIM)
        y = y.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, rows * p, columns * p, heads * HEAD_DIM)
        return self.conv(name + ".attn.proj", y.permute(0, 3, 1, 2))


class VisionTransformer(Network):
    def __init__(self, tensors, side):
        super().__init__(tensors)
        self.depth = self.count(r"blocks\.(\d+)\.")

    def forward(self, x):
        patch = self.get("patch_embed.proj.weight").shape[-1]
        x = self.conv("patch_embed.proj", x, patch, 0).flatten(2).transpose(1, 2)
        if self.has("cls_token"):
            x = torch.cat([self.get("cls_token").to(x.dtype).expand(x.shape[0], -1, -1), x], 1)
        x = x + self.get("pos_embed")
        for i in range(self.depth):
            x = x + self.attention(f"blocks.{i}.attn", self.layer_norm(f"blocks.{i}.norm1", x))
            y = F.gelu(self.linear(f"blocks.{i}.mlp.fc1", self.layer_norm(f"blocks.{i}.norm2", x)))
            x = x + self.linear(f"blocks.{i}.mlp.fc2", y)
        if self.has("cls_token"):
            return self.linear("head", self.layer_norm("norm", x)[:, 0])
        if self.has("fc_norm.weight"):
            return self.linear("head", self.layer_norm("fc_norm", x.mean(1)))
        return self.linear("head", self.layer_norm("norm", x).mean(1))

    def attention(self, name, x):
        batch, tokens, width = x.shape
        qkv = self.linear(name + ".qkv", x).view(batch, tokens, 3, width // HEAD_DIM, HEAD_DIM)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return self.linear(name + ".proj",
                           attend(q, k, v).transpose(1, 2).reshape(batch, tokens, width))


def network_of(tensors, side):
    """The network of a file's tensors, for pictures of `side`."""
    family = VisionTransformer if "patch_embed.proj.weight" in tensors \
        else PreactResNet if "stem.conv.weight" in tensors else ResNet
    return family(tensors, side)
