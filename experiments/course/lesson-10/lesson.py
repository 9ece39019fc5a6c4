"""Lesson 10: a row of how-they-differ.md, with seeds of one's own. The page is README.md."""

import os

from tools import analyze, train

NETWORKS = (("convolution", "C.C:width=16", "dirac"),
            ("transformer", "vit_64x2_patch4_mlp2_gap", "mimetic"))
SEEDS = os.environ.get("SEEDS", "1 2 3").split()


def losses(network, band):
    """Points of accuracy that noise of a band costs, for each seed; trained once for both bands."""
    return [-values[f"{band}_frequency_change"] for values in network]


def show(name, values):
    cells = "".join(f"{round(value):>9}" for value in values)
    print(f"  {name:<12}{cells}{round(sum(values) / len(values)):>9}")


def main():
    measured = {}
    for name, network, init in NETWORKS:
        runs = [train(network, seed, "--init", init, "--shapes-conflict", 0) for seed in SEEDS]
        measured[name] = [analyze(run, "noise", "--images", 200)[0] for run in runs]
    for band, words in (("low", "below"), ("high", "above")):
        print(f"noise {words} half of the largest frequency costs so many points")
        print(f"  {'seed':<12}" + "".join(f"{seed:>9}" for seed in SEEDS) + f"{'mean':>9}")
        for name, values in measured.items():
            show(name, losses(values, band))
    difference = [a - b for a, b in zip(*(losses(v, "high") for v in measured.values()))]
    larger = sum(d > 0 for d in difference)
    print(f"the convolution loses more to high frequencies in {larger} of {len(SEEDS)} seeds")


if __name__ == "__main__":
    main()
