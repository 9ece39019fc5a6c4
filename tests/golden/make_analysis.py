#!/usr/bin/env python3
# Makes analysis.safetensors, the golden values of test_analysis_golden.cpp: analyses by numpy,
# scipy and PyTorch from their definitions, in f64.
#   make_analysis.py      writes analysis.safetensors beside this script
# Made with PyTorch 1.13, numpy 1.24 and scipy 1.10 (Debian 12: python3-torch, python3-numpy,
# python3-scipy). One small vision transformer (patches of 4 on pictures of 12 x 12, width 8, two
# blocks of two heads, class token), its parameters and pictures drawn by the library's own random
# numbers, is written down here once more in plain PyTorch; every analysis of it follows its
# published formula, with dense matrices where the program never forms any. Beside it: calibration
# of drawn logits, ridge regression, the decisions on cue conflicts, kappa, and frequency masks.
import math
import os

import numpy as np
import scipy.optimize
import scipy.special
import torch
import torch.nn.functional as F

from analysis_network import (SEED, PATCH, WIDTH, DEPTH, HEADS, COUNT, GRID, TOKENS, SHAPES,
                              PARAMETERS, IMAGES, LABELS, Network, initial)
from shared import normal, site_of, uniform, write

tensors = {}


def keep(name, value):
    tensors[name] = np.asarray(value.detach() if isinstance(value, torch.Tensor) else value, float)


network = Network(PARAMETERS)
logits = network(IMAGES)
seen = {key: [t.detach() for t in value] for key, value in network.seen.items()}
classes = logits.argmax(1)
keep("logits", logits)


# --- attention: distance (Dosovitskiy et al. 2021), entropy ---

def places():
    row, column = np.divmod(np.arange(GRID * GRID), GRID)
    return np.stack([row, column], 1) * float(PATCH)


def attention():
    apart = np.linalg.norm(places()[:, None] - places()[None], axis=-1)
    for a in seen["attention"]:
        a = a.numpy()
        inner = a[:, :, 1:, 1:]
        for name, weights in (("renormalised", inner / inner.sum(-1, keepdims=True)), ("dropped",
                                                                                       inner)):
            tensors.setdefault("distance." + name, []).append((weights * apart).sum(-1).mean(
                (0, 2)))
        tensors.setdefault("class_mass", []).append(a[:, :, 1:, 0].mean((0, 2)))
        entropy = -(a * np.log(a)).sum(-1)
        tensors.setdefault("entropy.places", []).append(entropy[:, :, 1:].mean((0, 2)))
        tensors.setdefault("entropy.class", []).append(entropy[:, :, 0].mean(0))
    for name in ("distance.renormalised", "distance.dropped", "class_mass", "entropy.places",
                 "entropy.class"):
        keep(name, np.concatenate(tensors[name]))


# --- rollout: products of whole matrices ---

def product(steps):
    total = np.eye(TOKENS)
    for step in steps:  # lowest first
        total = step @ total
    return total


def rollout(matrices, normalise="rows"):
    steps = []
    for a in matrices:
        a = a + np.eye(TOKENS)
        # vit-explain divides column j by the sum of row j.
        steps.append(a / (a.sum(-1, keepdims=True) if normalise == "rows" else a.sum(-1)))
    return product(steps)[0, 1:]


def without_smallest(a, share, protect):
    a = a.copy()
    flat = a.reshape(-1)
    smallest = np.argsort(flat, kind="stable")[:int(flat.size * share)]
    flat[[i for i in smallest if not protect(i)]] = 0
    return a


def attention_gradients(n):
    x, leaves = network.embed(IMAGES[n:n + 1]), []
    original = network.msa

    def watched(i, t, held=None):
        qkv = network.linear(f"blocks.{i}.attn.qkv", network.norm(f"blocks.{i}.norm1", t))
        q, k, v = qkv.reshape(1, TOKENS, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)).softmax(-1)
        a = a if a.requires_grad else a.requires_grad_()
        leaves.append(a)
        return network.linear(f"blocks.{i}.attn.proj", (a @ v).permute(0, 2, 1,
                                                                       3).reshape(1, TOKENS, WIDTH))

    network.msa = watched
    network.seen = {"out": [], "branch": [], "skip": [], "attention": []}
    for i in range(DEPTH):
        x = x + network.msa(i, x)
        x = x + network.mlp(i, x)
    network.msa = original
    return [g[0].numpy() for g in torch.autograd.grad(network.read(x)[0, classes[n]], leaves)]


def rollouts():
    maps = {
        name: []
        for name in ("mean", "max", "min", "discard", "script", "gradient", "class_specific")
    }
    for n in range(4):
        a = [layer[n].numpy() for layer in seen["attention"]]
        g = attention_gradients(n)
        maps["mean"].append(rollout([x.mean(0) for x in a]))
        maps["max"].append(rollout([x.max(0) for x in a]))
        maps["min"].append(rollout([x.min(0) for x in a]))
        maps["discard"].append(
            rollout([without_smallest(x.max(0), 0.9, lambda i: i % TOKENS == 0) for x in a]))
        maps["script"].append(
            rollout([without_smallest(x.max(0), 0.9, lambda i: i == 0) for x in a], "columns"))
        maps["gradient"].append(rollout([np.maximum((x * y).mean(0), 0) for x, y in zip(a, g)]))
        relevance = np.eye(TOKENS)  # Chefer, Gur and Wolf (ICCV 2021): R <- R + mean_h (A dA)^+ R
        for x, y in zip(a, g):
            relevance = relevance + np.maximum(x * y, 0).mean(0) @ relevance
        maps["class_specific"].append(relevance[0, 1:])
    for name, values in maps.items():
        keep("rollout." + name, np.stack(values))


# --- rollout by norms: every source by itself through the linearised block ---

def transport(kind, i, x, groups):
    """R_(t,g),(s,g') = |P_g J_ts P_g' x_s| / sum of the row, of x + branch(x) with gates and
    statistics held at x."""
    width = WIDTH // groups

    def block(u):
        return u + getattr(network, kind)(i, u, held=x)

    base = block(torch.zeros_like(x))
    result = np.zeros((TOKENS * groups, TOKENS * groups))
    for s in range(TOKENS):
        for g in range(groups):
            u = torch.zeros_like(x)
            u[0, s, g * width:(g + 1) * width] = x[0, s, g * width:(g + 1) * width]
            moved = (block(u) - base)[0].reshape(TOKENS, groups, width)
            result[:, s * groups + g] = moved.norm(dim=-1).reshape(-1).numpy()
    return result / result.sum(1, keepdims=True)


def norm_rollout():
    n = 1
    network.held_attention = [a[n:n + 1] for a in seen["attention"]]
    for groups in (1, 2):
        steps, index = [], 0
        for i in range(DEPTH):
            for kind in ("msa", "mlp"):
                steps.append(transport(kind, i, seen["out"][index][n:n + 1], groups))
                index += 1
        keep(f"transport.{groups}", np.stack(steps))
        total = np.eye(TOKENS * groups)
        for step in steps:
            total = step @ total
        # Volume [g, t]: from group g of the class token, all groups of place t.
        keep(f"volume.{groups}", total[:groups].reshape(groups, TOKENS, groups).sum(-1))


# --- shortcuts and lesions ---

def right(**removed):
    return float((network(IMAGES, **removed).argmax(1) == LABELS).sum())


def parts():
    skip, branch = torch.stack(seen["skip"]), torch.stack(seen["branch"])  # (parts, N, T, C)
    ratio = skip.norm(dim=-1) / branch.norm(dim=-1)
    keep("skip.ratio", ratio[:, :, 1:].mean((1, 2)))
    keep("skip.ratio_class", ratio[:, :, 0].mean(1))
    keep("skip.cosine_branch", F.cosine_similarity(skip, branch, dim=-1)[:, :, 1:].mean((1, 2)))
    keep("skip.cosine_sum", F.cosine_similarity(skip, skip + branch, dim=-1)[:, :, 1:].mean((1, 2)))
    count = 2 * DEPTH
    keep("right", [right()])
    keep("skip.right", [right(skips={i: torch.zeros_like}) for i in range(count)])
    keep("skip.right_block", [right(skips={2 * i: torch.zeros_like, 2 * i + 1: torch.zeros_like})
                              for i in range(DEPTH)])
    keep("lesion.right", [right(branches={i: torch.zeros_like}) for i in range(count)])
    keep("lesion.right_mean", [right(branches={i: lambda b: b.mean(0, keepdim=True).expand_as(b)})
                               for i in range(count)])
    keep("lesion.right_block", [
        right(branches={2 * i: torch.zeros_like, 2 * i + 1: torch.zeros_like}) for i in range(DEPTH)
    ])


# --- receptive fields, spectra, variance ---

def fields():
    energy, absolute = [], []
    centre = 1 + (GRID // 2) * GRID + GRID // 2
    for layer in range(2 * DEPTH + 1):
        def at_centre(image):
            network(image[None])
            return network.seen["out"][layer][0, centre]

        jacobians = torch.stack(
            [torch.autograd.functional.jacobian(at_centre, IMAGES[n]) for n in range(2)])
        energy.append((jacobians ** 2).sum(-1).mean((0, 1)))  # (N, C, H, W, 3)
        absolute.append(jacobians.abs().sum(-1).mean((0, 1)))
    keep("field.energy", torch.stack(energy))
    keep("field.absolute", torch.stack(absolute))


def spectra():
    for layer, x in enumerate(seen["out"]):
        maps = x[:, 1:].reshape(COUNT, GRID, GRID, WIDTH).numpy()
        tensors.setdefault("variance", []).append(maps.var((1, 2), ddof=1).mean())
    keep("variance", tensors["variance"])
    # Maps of even and odd sides, through the published lines: shift, mean of the logarithm,
    # diagonal, less the centre.
    for side in (14, 7):
        maps = normal(SEED, site_of("golden.maps"),
                      3 * side * side * 2).reshape(3, side, side, 2).cumsum(1).cumsum(2)
        amplitude = np.log(np.abs(np.fft.fft2(maps, axes=(1, 2))) + 1e-6)
        mean = np.fft.fftshift(amplitude, (1, 2)).mean((0, 3))
        diagonal = np.diag(mean)[side // 2:]
        keep(f"diagonal.{side}", diagonal - diagonal[0])


# --- similarity of layers and of tokens to patches ---

def hsic1(k, l):
    """Song et al. 2007, equation 5."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))
    one = np.ones(n)
    total = np.trace(k @ l) + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (total - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3))


def gram(x):
    x = np.asarray(x, float).reshape(len(x), -1)
    return x @ x.T


def minibatch_cka(first, second, batch):
    """Sums over batches in the three terms, one division at the end."""
    sums = np.zeros(3)
    for b in range(0, COUNT, batch):
        k, l = gram(first[b:b + batch]), gram(second[b:b + batch])
        sums += hsic1(k, l), hsic1(k, k), hsic1(l, l)
    return sums[0] / math.sqrt(sums[1] * sums[2])


def similarities():
    # The class token counts, but not in the mean.
    for name, layers in (("flat", [x.numpy() for x in seen["out"]]),
                         ("pooled", [x[:, 1:].mean(1).numpy() for x in seen["out"]])):
        keep("cka." + name, [[minibatch_cka(a, b, 8) for b in layers] for a in layers])
    layers = [x[:, 1:].numpy() for x in seen["out"]]
    patches = IMAGES.numpy().reshape(COUNT, GRID, PATCH, GRID, PATCH, 3)
    keep("localisation", [[
        minibatch_cka(layers[-1][:, t], patches[:, s // GRID, :, s % GRID], COUNT)
        for s in range(GRID * GRID)
    ]
                          for t in range(GRID * GRID)])


# --- curvature and landscape ---

def unflatten(theta):
    result, at = {}, 0
    for name, shape in SHAPES.items():
        result[name] = theta[at:at + math.prod(shape)].reshape(shape)
        at += math.prod(shape)
    return result


def flatten(parts):
    return np.concatenate([np.asarray(parts[name]).reshape(-1) for name in SHAPES])


THETA = torch.from_numpy(flatten(PARAMETERS))


def loss_at(theta, count=COUNT):
    return F.cross_entropy(Network(unflatten(theta))(IMAGES[:count]), LABELS[:count])


def curvature():
    """The whole matrix by double backward, its eigenvalues by LAPACK; four pictures."""
    theta = THETA.clone().requires_grad_()
    gradient = torch.autograd.grad(loss_at(theta, 4), theta, create_graph=True)[0]
    v = torch.from_numpy(normal(SEED, site_of("golden.direction"), len(theta)))
    keep("hessian.times", torch.autograd.grad(gradient @ v, theta, retain_graph=True)[0])
    rows = [torch.autograd.grad(g, theta, retain_graph=True)[0] for g in gradient]
    values = torch.linalg.eigvalsh(torch.stack(rows)).numpy()
    order = np.argsort(-np.abs(values))
    keep("hessian.largest", values[order[:5]])
    keep("hessian.ends", [values[-1], values[0]])
    keep("hessian.moments", [values.sum(), (values ** 2).sum()])


def direction(seed, by_filter):
    """Li et al. (2018): each output filter as long as the weights' own. Park and Kim's script: each
    place across."""
    parts = {}
    for name, shape in SHAPES.items():
        w, d = initial(name, shape), np.zeros(shape)
        if len(shape) > 1 and (by_filter or name != "pos_embed"):
            d = normal(seed, site_of("landscape." + name), w.size).reshape(shape)
            if by_filter:
                axes = tuple(range(1, len(shape)))
                d *= np.sqrt((w**2).sum(axes, keepdims=True)) / (np.sqrt(
                    (d**2).sum(axes, keepdims=True)) + 1e-10)
            else:
                d *= np.sqrt((w ** 2).sum(0)) / (np.sqrt((d ** 2).sum(0)) + 1e-7)
        parts[name] = d
    return torch.from_numpy(flatten(parts))


def landscape():
    first, second = direction(11, True), direction(12, True)
    keep("landscape.position", direction(11, False))
    sides = np.linspace(-0.5, 0.5, 5)
    keep("landscape.nll", [[loss_at(THETA + a * first + b * second) for a in sides] for b in sides])


# --- calibration ---

def calibration():
    n, k, bins = 501, 5, 15
    z = 3 * normal(SEED, site_of("golden.logits"), n * k).reshape(n, k)
    labels = (uniform(SEED, site_of("golden.calibration"), n) * k).astype(int)
    labels = np.where(uniform(SEED, site_of("golden.honest"), n) < 0.6, z.argmax(1), labels)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    confidence, correct = p.max(1), p.argmax(1) == labels

    def gaps(confidence, correct):
        edges = np.linspace(0, 1, bins + 1)
        result = []
        for low, high in zip(edges[:-1], edges[1:]):
            inside = (confidence > low) & (confidence <= high)
            if inside.any():
                result.append((inside.mean(), confidence[inside].mean() - correct[inside].mean()))
        return np.array(result)

    share, gap = gaps(confidence, correct).T
    order = np.argsort(confidence, kind="stable")
    equal = [order[np.arange(n) * bins // n == b] for b in range(bins)]
    adaptive = sum(len(i) / n * abs(confidence[i].mean() - correct[i].mean()) for i in equal)
    classwise = np.mean([(g[:, 0] * np.abs(g[:, 1])).sum()
                         for g in (gaps(p[:, c], labels == c) for c in range(k))])
    nll = -np.log(p[np.arange(n), labels]).mean()
    brier = ((p - np.eye(k)[labels]) ** 2).sum(1).mean()
    keep("calibration.scores", [(share * np.abs(gap)).sum(), (share * gap).sum(),
                                np.abs(gap).max(), adaptive, classwise, nll, brier,
                                correct.mean()])

    def scaled_nll(log_temperature):
        s = z[::2] / np.exp(log_temperature)  # every second picture fits it
        return (scipy.special.logsumexp(s, 1) - s[np.arange(len(s)), labels[::2]]).mean()

    found = scipy.optimize.minimize_scalar(scaled_nll, bounds=(-5, 5), method="bounded",
                                           options={"xatol": 1e-10})
    keep("calibration.temperature", [np.exp(found.x)])
    keep("calibration.labels", labels)


# --- ridge probes ---

def ridge():
    for name, n, d in (("tall", 40, 6), ("wide", 9, 14)):
        x = normal(SEED, site_of("golden.ridge." + name), n * d).reshape(n,
                                                                         d) * (1 + np.arange(d)) + 3
        labels = np.arange(n) * 7 % 3
        y = 2.0 * np.eye(3)[labels] - 1
        mean, deviation = x.mean(0), x.std(0)
        s = (x - mean) / deviation
        for penalty in (0.1, 10.0):
            w = np.linalg.solve(s.T @ s + penalty * np.eye(d),
                                s.T @ (y - y.mean(0))) / deviation[:, None]
            keep(f"ridge.{name}.{penalty:g}", np.vstack([w, y.mean(0) - mean @ w]))


# --- weights of a lambda layer, signed ---

def lambda_weights():
    shape = (3, 2, GRID * GRID, GRID * GRID)
    weights, content = (normal(SEED, site_of("golden." + name), math.prod(shape)).reshape(shape)
                        for name in ("lambda", "lambda_content"))
    apart = np.linalg.norm(places()[:, None] - places()[None], axis=-1)
    size, position = np.abs(weights), weights - content
    keep("lambda", [(content ** 2).sum() / ((content ** 2).sum() + (position ** 2).sum()),
                    size[weights < 0].sum() / size.sum(),
                    ((size * apart).sum(-1) / size.sum(-1)).mean(), apart.mean()])


# --- decisions on cue conflicts, agreement of two networks ---

def conflicts():
    z = 2 * normal(SEED, site_of("golden.conflicts"), 50 * 12).reshape(50, 12)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    members = [[0, 4, 5], [1], [2, 3, 9, 10], [7, 8]]
    for name, pool in (("mean", np.mean), ("sum", np.sum), ("max", np.max)):
        keep("decided." + name, np.stack([pool(p[:, m], axis=1) for m in members], 1).argmax(1))
    first, second = uniform(SEED, site_of("golden.first"),
                            60) < 0.7, uniform(SEED, site_of("golden.second"), 60) < 0.5
    table = np.histogram2d(first, second, bins=2)[0] / 60  # Cohen 1960, from the table of counts
    observed, expected = np.trace(table), table.sum(0) @ table.sum(1)
    keep("kappa", [(observed - expected) / (1 - expected)])


# --- bands of frequencies ---

def bands():
    for side in (16, 7):
        frequency = np.abs(np.fft.fftfreq(side)) * 2 * np.pi
        larger = np.maximum(frequency[:, None], frequency[None])
        keep(f"band.{side}", (larger >= 0.3 * np.pi - 0.2) & (larger < 0.3 * np.pi + 0.2))


attention()
rollouts()
norm_rollout()
parts()
fields()
spectra()
similarities()
curvature()
landscape()
calibration()
ridge()
lambda_weights()
conflicts()
bands()
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "analysis.safetensors")
write(path, tensors)
print(f"{len(tensors)} tensors, {os.path.getsize(path)} bytes")
