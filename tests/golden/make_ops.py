#!/usr/bin/env python3
# Makes ops.safetensors, the golden values of test_ops_golden.cpp: norms, attention and the lambda
# layer in f64, with first gradients and one second derivative each, computed by PyTorch 1.13
# (Debian 12: python3-torch).
#   make_ops.py      writes ops.safetensors beside this script
# A case CASE holds CASE.in.NAME (its inputs), CASE.y, CASE.grad.NAME (of sum y * w with w = cos(0,
# 1, 2, ...)) and CASE.second.NAME (of the sum of all gradients, each times the same kind of w).
# Activations are NHWC.
import json
import math
import os
import struct

import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
tensors = {}


def weighted(x):
    """sum x * cos(i) over the elements in the order of memory."""
    return (x.reshape(-1) * torch.cos(torch.arange(x.numel(), dtype=x.dtype))).sum()


def case(name, inputs, function):
    leaves = {key: value.clone().requires_grad_() for key, value in inputs.items()}
    y = function(**leaves)
    first = torch.autograd.grad(weighted(y), leaves.values(), create_graph=True)
    second = torch.autograd.grad(sum(weighted(g) for g in first), leaves.values(),
                                 allow_unused=True)
    tensors[name + ".y"] = y
    for (key, leaf), g, h in zip(leaves.items(), first, second):
        tensors[f"{name}.in.{key}"] = leaf
        tensors[f"{name}.grad.{key}"] = g
        tensors[f"{name}.second.{key}"] = torch.zeros_like(leaf) if h is None else h


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


# --- norms ---

def affine(x, channels):
    return {"x": x, "gamma": torch.rand(channels) + 0.5, "beta": torch.randn(channels)}


def batch_norm(training):
    name = "batch_norm" if training else "batch_norm_eval"
    mean, var = torch.randn(5), torch.rand(5) + 0.5
    tensors[name + ".running_mean"], tensors[name + ".running_var"] = mean.clone(), var.clone()
    inputs = {**affine(torch.randn(3, 4, 2, 5) * 2 + 1, 5), "residual": torch.randn(3, 4, 2, 5)}

    def function(x, gamma, beta, residual):
        return torch.relu(
            nhwc(F.batch_norm(nchw(x), mean, var, gamma, beta, training, 0.3, 1e-3)) + residual)

    case(name, inputs, function)
    tensors[name + ".moved_mean"], tensors[name + ".moved_var"] = mean, var


batch_norm(True)
batch_norm(False)
case("layer_norm", affine(torch.randn(2, 3, 7) * 3, 7),
     lambda x, gamma, beta: F.layer_norm(x, (7,), gamma, beta, 1e-6))
case("group_norm", affine(torch.randn(2, 3, 4, 6), 6),
     lambda x, gamma, beta: nhwc(F.group_norm(nchw(x), 3, gamma, beta, 1e-5)))


# --- attention, as Swin composes it: roll, cut into windows, attend, put together, roll back ---

def windows(x, w):
    n, h, width, c = x.shape
    return x.view(n, h // w, w, width // w, w, c).transpose(2, 3).reshape(-1, w * w, c)


def image(x, w, h, width):
    c = x.shape[-1]
    return x.view(-1, h // w, width // w, w, w, c).transpose(2, 3).reshape(-1, h, width, c)


def bias_index(w):
    at = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")).flatten(1)
    difference = at[:, None, :] - at[:, :, None] + w - 1  # key minus query
    return difference[0] * (2 * w - 1) + difference[1]


def regions(h, width, w, shift):
    region = torch.zeros(1, h, width, 1)
    count = 0
    for rows in (slice(0, -w), slice(-w, -shift), slice(-shift, None)):
        for columns in (slice(0, -w), slice(-w, -shift), slice(-shift, None)):
            region[:, rows, columns] = count
            count += 1
    return windows(region, w).squeeze(-1)


def attention(qkv, bias, heads, w, shift):
    n, h, width, c = qkv.shape
    t, d = w * w, c // (3 * heads)
    moved = torch.roll(qkv, (-shift, -shift), (1, 2))
    q, k, v = windows(moved, w).view(-1, t, 3, heads, d).permute(2, 0, 3, 1, 4)
    logits = q @ k.transpose(-1, -2) / math.sqrt(d)
    logits = logits + bias[bias_index(w).view(-1)].view(t, t, -1).permute(2, 0, 1)
    if shift:
        region = regions(h, width, w, shift)
        apart = (region[:, None, :] != region[:, :, None])[:, None]
        logits = logits.view(n, -1, heads, t, t).masked_fill(apart, -math.inf).view(-1, heads, t, t)
    y = image((logits.softmax(-1) @ v).transpose(1, 2).reshape(-1, t, heads * d), w, h, width)
    return torch.roll(y, (shift, shift), (1, 2))


for name, heads, w, shift, columns in (("attention_windows", 2, 2, 0, 1),
                                       ("attention_shifted", 2, 3, 1, 2)):
    inputs = {"qkv": torch.randn(1, 6, 6, 12), "bias": torch.randn((2 * w - 1) ** 2, columns)}
    case(name, inputs, lambda qkv, bias: attention(qkv, bias, heads, w, shift))


# --- the lambda layer: by a 3-D convolution over the values (local) or a gathered table (global)

def lambda_layer(q, keys, values, embedding, bias, heads, k, u, local):
    n, h, w, _ = q.shape
    v = values.shape[3] // u
    q = q.reshape(n, h * w, heads, k)
    softmax = keys.reshape(n, h * w, u, k).softmax(1)
    values = values.reshape(n, h * w, u, v)
    if local:
        r = embedding.shape[0]
        maps = values.reshape(n, h, w, u, v).permute(0, 3, 4, 1, 2)  # (n, u, v, h, w)
        weight = embedding.permute(2, 3, 0, 1).unsqueeze(2)          # (k, u, 1, r, r)
        position = F.conv3d(maps, weight, bias,
                            padding=(0, r // 2, r // 2)).flatten(3).permute(0, 3, 1, 2)
    else:
        rows, columns = torch.arange(h * w) // w, torch.arange(h * w) % w
        e = embedding[rows[None] - rows[:, None] + h - 1, columns[None] - columns[:, None] + w - 1]
        position = torch.einsum("qmku,nmuv->nqkv", e, values) + bias[:, None]
    content = torch.einsum("nmuk,nmuv->nkv", softmax, values)
    return torch.einsum("nqhk,nqkv->nqhv", q,
                        position + content[:, None]).reshape(n, h, w, heads * v)


for name, h, w, u, r in (("lambda_global", 3, 3, 1, 0), ("lambda_local", 4, 5, 2, 3)):
    heads, k, v = 2, 3, 4
    table = (r, r, k, u) if r else (2 * h - 1, 2 * w - 1, k, u)
    inputs = {
        "q": torch.randn(2, h, w, heads * k), "keys": torch.randn(2, h, w, u * k),
        "values": torch.randn(2, h, w, u * v), "embedding": torch.randn(table),
        "bias": torch.randn(k)
    }
    case(name, inputs, lambda q, keys, values, embedding, bias:
         lambda_layer(q, keys, values, embedding, bias, heads, k, u, bool(r)))


def save(path):
    header, data = {"__metadata__": {"made_with": "torch " + torch.__version__}}, b""
    for name in sorted(tensors):
        raw = tensors[name].detach().contiguous().numpy().tobytes()
        header[name] = {
            "dtype": "F64", "shape": list(tensors[name].shape),
            "data_offsets": [len(data), len(data) + len(raw)]
        }
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


save(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops.safetensors"))
