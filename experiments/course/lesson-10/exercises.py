"""Lesson 10, your part. Replace what the functions return; `make check-lesson-10` looks at it."""

# Two-sided 95 % points of Student's t for 1, 2, 3, ... degrees of freedom.
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def mean_interval(values):
    """Exercise 1. (mean, half width of its 95 % interval) of numbers from runs of several seeds:
    half width = t * s / sqrt(n), s with n - 1 below, t of n - 1 degrees of freedom."""
    return sum(values) / len(values), 0.0


def verdict(first, second):
    """Exercise 2. The claim is "the values of `first` are larger than those of `second`"; the two
    are runs of the same seeds, in the same order. Returns "seen", "not seen" (the opposite is), or
    "cannot be told", by the interval of the differences, seed by seed."""
    return "seen"
