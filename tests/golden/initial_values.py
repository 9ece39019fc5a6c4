# The initial values of networks of PyTorch, as the library draws them.
import math

import numpy
import torch
from torch import nn

from shared import normal, site_of, uniform

SEED, JITTER_SEED = 7, 77


def memory_order(tensor, parameter):
    """PyTorch's layout to the library's: convolutions (O, kh, kw, I), lambda convolutions (r, r, k,
    u)."""
    if tensor.dim() == 4 and not hasattr(parameter, "is_table"):
        return tensor.permute(0, 2, 3, 1)
    if tensor.dim() == 5 and tensor.shape[4] == 1:  # timm's (k, u, r, r, 1)
        return tensor.permute(2, 3, 0, 1, 4)
    return tensor.permute(3, 4, 0, 1, 2) if tensor.dim() == 5 else tensor


def fill(parameter, values):
    """`values` in the library's order."""
    place = memory_order(parameter.data, parameter)
    place.copy_(torch.from_numpy(numpy.ascontiguousarray(values)).reshape(place.shape))


def draw(name, parameter, kind, a):
    count = parameter.numel()
    if kind == "normal":
        fill(parameter, a * normal(SEED, site_of(name), count))
    elif kind == "uniform":
        fill(parameter, a * (2 * uniform(SEED, site_of(name), count) - 1))
    else:
        fill(parameter, numpy.full(count, a, float))


def attention_start(key, parameter, style):
    """Initial values of attention with relative positions and of timm's lambda layers, or None."""
    leaf = key.rsplit(".", 1)[-1]
    if leaf in ("height_rel", "width_rel"):
        return "normal", parameter.shape[1] ** -0.5
    if key.endswith(".qkv.weight") and (".self_attn." in key or parameter.relative):
        return "normal", parameter.shape[1] ** -0.5
    if style != "torchvision":
        return None
    if key.endswith(".conv_lambda.weight"):
        return "normal", parameter.shape[0] ** -0.5
    if key.endswith(".self_attn.pos_emb"):
        return "normal", 0.02
    if key.startswith("head.fc."):
        return ("constant", 0) if leaf == "bias" else ("normal", 0.01)
    return None


def he_deviation(parameter):
    """By fan-out, which counts all channels, but for a depthwise convolution, which has one."""
    out = 1 if parameter.shape[1] == 1 else parameter.shape[0]
    return math.sqrt(2 / (out * parameter[0, 0].numel()))


def initialise(model, style):
    """style: torchvision (He fan-out convolutions), default (PyTorch), vit (timm; its cut at 2 is
    never reached), cct and twins (the same, with He fan-in or fan-out convolutions)."""
    for path, module in model.named_modules():
        for key, parameter in module.named_parameters(prefix=path, recurse=False):
            leaf = key.rsplit(".", 1)[-1]
            parameter.relative = hasattr(module, "relative")
            start = attention_start(key, parameter, style)
            if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
                draw(key, parameter, "constant",
                     0 if leaf == "bias" else getattr(module, "start", 1))
            elif start:
                draw(key, parameter, *start)
            elif leaf == "bias" and hasattr(module, "zero_bias"):
                draw(key, parameter, "constant", 0)
            elif leaf in ("cls_token", "dist_token", "pos_embed", "relative_position_bias_table"):
                draw(key, parameter, "normal", 0.02)
            elif leaf == "positional_emb":
                draw(key, parameter, "normal", 0.2)
            elif style == "cct" and isinstance(module, nn.Conv2d):
                draw(key, parameter, "normal", math.sqrt(2 / module.weight[0].numel()))
            elif leaf == "pos_emb":
                draw(key, parameter, "normal", 1)
            elif style == "twins" and isinstance(module, nn.Conv2d):
                draw(key, parameter, *(("constant", 0) if leaf == "bias" else
                                       ("normal", he_deviation(parameter))))
            elif style in ("vit", "cct", "twins") and isinstance(module, nn.Linear):
                draw(key, parameter, *(("constant", 0) if leaf == "bias" else ("normal", 0.02)))
            elif (style == "torchvision" and isinstance(module, nn.Conv2d)
                  and not any(part in key for part in (".se.", ".attn."))):
                draw(key, parameter, "normal", he_deviation(parameter))
            else:
                draw(key, parameter, "uniform", 1 / math.sqrt(module.weight[0].numel()))
    # Zero shifts and unit scales would hide mistakes, and a zero last scale the gradients of its
    # whole branch.
    for key, parameter in model.named_parameters():
        if parameter.dim() == 1:
            values = parameter.data.double().numpy()
            fill(parameter, values + 0.1 * normal(JITTER_SEED, site_of(key), parameter.numel()))
