"""Lesson 8, your part. Replace what the functions return; `make check-lesson-8` looks at it."""


def shape_bias(decisions):
    """Exercise 1. `decisions` is a list of (class chosen, class of the shape, class of the texture)
    for pictures whose cues disagree. Returns, of the pictures decided for one of the two, the share
    decided for the shape; None when no picture was."""
    return 0.0


def interval(successes, trials):
    """Exercise 2. The 95 % interval of Wilson for a share of `successes` in `trials`, as (low,
    high): with p = successes / trials, n = trials, z = 1.96,
        centre = (p + z^2 / 2n) / (1 + z^2 / n)
        half   = z / (1 + z^2 / n) * sqrt(p (1 - p) / n + z^2 / 4n^2)"""
    return 0.0, 1.0
