"""Lesson 8, solved."""

import math


def shape_bias(decisions):
    shape = sum(chosen == outline for chosen, outline, _ in decisions)
    texture = sum(chosen == filling for chosen, _, filling in decisions)
    return shape / (shape + texture) if shape + texture else None


def interval(successes, trials):
    p, n, z = successes / trials, trials, 1.96
    scale = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half
