"""Checks the exercises of lesson 10 on numbers whose intervals are known."""

import math

from tools import check, exercises

STUDENT = exercises()


def interval():
    mean, half = STUDENT.mean_interval([4.0, 6.0, 8.0])  # s = 2, n = 3
    if not math.isclose(mean, 6):
        return "the mean of 4, 6, 8 is 6"
    if math.isclose(half, 4.303 * 2 / math.sqrt(3), rel_tol=1e-6):
        _, two = STUDENT.mean_interval([1.0, 3.0])
        right = math.isclose(two, 12.706, rel_tol=1e-6)
        return "" if right else "two runs have 1 degree of freedom: 12.706"
    if math.isclose(half, 4.303 * math.sqrt(8 / 3) / math.sqrt(3), rel_tol=1e-6):
        return "s divides by n - 1, not by n (statistics.stdev)"
    if math.isclose(half, 1.96 * 2 / math.sqrt(3), rel_tol=1e-3):
        return "1.96 is for many runs; three runs have 2 degrees of freedom: 4.303"
    if math.isclose(half, 4.303 * 2, rel_tol=1e-6):
        return "the deviation of a mean is s / sqrt(n)"
    return "of 4, 6, 8 the half width is 4.303 * 2 / sqrt(3) = 4.97"


def verdict():
    noisy = [10.0, 20.0, 30.0, 40.0]
    cases = (([5.0, 6.0, 5.5, 5.8], [1.0, 1.4, 0.8, 1.1], "seen", "the interval lies above 0"),
             ([1.0, 1.4, 0.8, 1.1], [5.0, 6.0, 5.5, 5.8], "not seen", "it lies below 0"),
             ([1.0, 5.0, 3.0], [2.0, 3.0, 3.5], "cannot be told", "the interval holds 0"))
    for first, second, want, why in cases:
        given = STUDENT.verdict(first, second)
        if given != want:
            return f"of {first} against {second} you say '{given}': {why}, so '{want}'"
    # Between seeds the values differ widely, between networks of a seed they do not.
    paired = STUDENT.verdict(noisy, [v - 1 - 0.1 * i for i, v in enumerate(noisy)])
    return "" if paired == "seen" else "take the differences seed by seed before the interval"


check(interval, verdict)
