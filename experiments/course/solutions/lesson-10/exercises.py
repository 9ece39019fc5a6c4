"""Lesson 10, solved."""

import math
import statistics

T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def mean_interval(values):
    n = len(values)
    half = T_95[n - 2] * statistics.stdev(values) / math.sqrt(n)
    return statistics.mean(values), half


def verdict(first, second):
    mean, half = mean_interval([a - b for a, b in zip(first, second)])
    if mean - half > 0:
        return "seen"
    return "not seen" if mean + half < 0 else "cannot be told"
