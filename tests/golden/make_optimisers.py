#!/usr/bin/env python3
# Makes optimisers.safetensors, the golden values of test_optimizer.cpp, by numpy in f64 from the
# recurrences as airbench94_muon (KellerJordan/cifar10-airbench) and the Muon package state them,
# and of airbench94's averaging. Needs numpy and safetensors.
#   make_optimisers.py      writes optimisers.safetensors beside this script
# Weights: a wide matrix, a tall one, a filter (out, kh, kw, in) and a bias, `steps` gradients each.
import os

import numpy as np
from safetensors.numpy import save_file

random = np.random.default_rng(14)
SHAPES = {"wide": (3, 5), "tall": (6, 2), "filter": (4, 3, 3, 2), "bias": (5,)}
STEPS = 3
A, B, C = 3.4445, -4.7750, 2.0315


def newton_schulz(gradient, steps):
    x = gradient.reshape(len(gradient), -1)
    x = x / (np.sqrt((x * x).sum()) + 1e-7)
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    for _ in range(steps):
        a = x @ x.T
        x = A * x + (B * a + C * a @ a) @ x
    return (x.T if turned else x).reshape(gradient.shape)


def muon(weight, gradients, lr, momentum, steps, rescale, decay):
    buffer = np.zeros_like(weight)
    for rate, gradient in zip(lr, gradients):
        buffer = momentum * buffer + gradient
        update = newton_schulz(gradient + momentum * buffer, steps)
        if rescale:
            weight = weight * len(weight) ** 0.5 / np.sqrt((weight * weight).sum())
        else:
            update = update * max(1, len(weight) / (weight.size / len(weight))) ** 0.5
            weight = weight * (1 - rate * decay)
        weight = weight - rate * update
    return weight


def sgd(weight, gradients, lr, momentum, decay):
    buffer = np.zeros_like(weight)
    for rate, gradient in zip(lr, gradients):
        gradient = gradient + decay * weight
        buffer = momentum * buffer + gradient
        weight = weight - rate * (gradient + momentum * buffer)
    return weight


def momentum_alone(weight, gradients, lr, momentum):
    buffer = np.zeros_like(weight)
    for rate, gradient in zip(lr, gradients):
        buffer = momentum * buffer + gradient
        weight = weight - rate * buffer
    return weight


def adamw(weight, gradients, lr, decay, eps=1e-8):
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for t, (rate, gradient) in enumerate(zip(lr, gradients), 1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient ** 2
        weight = weight * (1 - rate * decay)
        weight = weight - rate * (first / (1 - 0.9 ** t)) / (
            np.sqrt(second / (1 - 0.999 ** t)) + eps)
    return weight


def lars(weight, gradients, lr, momentum, decay, trust):
    buffer = np.zeros_like(weight)
    for rate, gradient in zip(lr, gradients):
        of_weight, of_gradient = np.linalg.norm(weight), np.linalg.norm(gradient)
        ratio = trust * of_weight / (of_gradient + decay * of_weight + 1e-8)
        buffer = momentum * buffer + ratio * (gradient + decay * weight)
        weight = weight - rate * buffer
    return weight


def lamb(weight, gradients, lr, decay):
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for t, (rate, gradient) in enumerate(zip(lr, gradients), 1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient ** 2
        update = (first / (1 - 0.9 ** t)) / (np.sqrt(second / (1 - 0.999 ** t)) + 1e-6)
        update = update + decay * weight
        weight = weight - rate * np.linalg.norm(weight) / np.linalg.norm(update) * update
    return weight


values = {}
for name, shape in SHAPES.items():
    weight, gradients = random.normal(size=shape), random.normal(size=(STEPS, *shape))
    values[f"{name}.weight"], values[f"{name}.gradients"] = weight, gradients
    shares = (1.0, 0.75, 0.5)  # of the peak rate, as a schedule would
    if name == "bias":
        values["bias.record"] = sgd(weight, gradients, [0.1 * s for s in shares], 0.85, 0.01)
        # neither decayed nor adapted
        values["bias.lars"] = momentum_alone(weight, gradients, [2 * s for s in shares], 0.9)
        values["bias.lamb"] = adamw(weight, gradients, [0.01 * s for s in shares], 0, 1e-6)
        values["bias.package"] = adamw(weight, gradients, [0.002 * s for s in shares], 0.1)
        continue
    values[f"{name}.lars"] = lars(weight, gradients, [2 * s for s in shares], 0.9, 0.05, 0.02)
    values[f"{name}.lamb"] = lamb(weight, gradients, [0.01 * s for s in shares], 0.1)
    values[f"{name}.record"] = muon(weight, gradients, [0.24 * s for s in shares], 0.6, 3, True, 0)
    values[f"{name}.package"] = muon(weight, gradients, [0.02 * s for s in shares], 0.95, 5, False,
                                     0.1)

# Lookahead over 12 steps that move the weights by known amounts, and once more at the end.
TOTAL = 12
moves = random.normal(size=(TOTAL, 7))
fast = random.normal(size=7)
values["lookahead.weight"], values["lookahead.moves"] = fast.copy(), moves
slow = fast.copy()
for step in range(1, TOTAL + 1):
    fast = fast + moves[step - 1]
    if step % 5 == 0:
        slow = slow + (1 - 0.95 ** 5 * (step / TOTAL) ** 3) * (fast - slow)
        fast = slow.copy()
fast = slow.copy()
values["lookahead.result"] = fast

here = os.path.dirname(os.path.abspath(__file__))
save_file({name: np.ascontiguousarray(value) for name, value in values.items()},
          os.path.join(here, "optimisers.safetensors"))
