"""Lesson 7: what each letter of a network's string costs. The page is README.md."""

from tools import costs

PATTERNS = ("C.C", "C.CC", "C.CM", "CM.CM", "C.CL", "C.CP")
OPTIONS = {"M": ",heads=1,head_dim=16"}


def main():
    print("pattern   parameters   products a picture (millions)")
    names = [f"{p}:width=16" + "".join(OPTIONS[k] for k in OPTIONS if k in p) for p in PATTERNS]
    for pattern, network in zip(PATTERNS, costs(*names)):
        print(f"{pattern:<9} {network['parameters']:>10} {network['macs'] / 1e6:>31.1f}")


if __name__ == "__main__":
    main()
