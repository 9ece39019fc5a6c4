"""Checks the exercises of lesson 8: the share by counting by hand, the interval by its property."""

import math

from tools import check, exercises

STUDENT = exercises()


def bias():
    decisions = [(0, 0, 1), (2, 1, 2), (3, 1, 2), (1, 1, 0), (2, 2, 3), (0, 3, 1)]
    given = STUDENT.shape_bias(decisions)
    if given is not None and math.isclose(given, 3 / 4):
        if STUDENT.shape_bias([(3, 1, 2)]) is None:
            return ""
        return "where no picture was decided for either, there is no share: return None"
    if given == 3 / 6:
        return "that is the share of all pictures; those decided for neither cue do not count"
    return "count who chose the shape's class and who the texture's: first / (first + second)"


def wilson():
    for successes, trials in ((0, 10), (3, 10), (500, 1000), (7, 7)):
        low, high = STUDENT.interval(successes, trials)
        # Its ends are the shares p from which the observed one is just 1.96 deviations away.
        for end in (low, high):
            away = abs(successes / trials - end)
            deviation = math.sqrt(max(end * (1 - end), 0) / trials)
            if abs(away - 1.96 * deviation) > 1e-6:
                return (f"of {successes} in {trials} you say {low:.3f} to {high:.3f}; look at the "
                        "parentheses: everything is divided by 1 + z^2 / n")
        if not low < high:
            return "low comes first"
    return ""


check(bias, wilson)
