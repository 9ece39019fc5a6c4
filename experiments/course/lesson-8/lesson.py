"""Lesson 8: outline or texture, when both would do? The page is README.md."""

from tools import analyze, train

# Name, network, its initial values, how often the cues disagree in training.
TRAINED = (("convolution", "C.C:width=16", "dirac", 0),
           ("transformer", "vit_64x2_patch4_mlp2_gap", "mimetic", 0),
           ("convolution", "C.C:width=16", "dirac", 1))


def main():
    print("network      cues disagree   decided by shape   pictures decided by a cue")
    for name, network, init, conflict in TRAINED:
        run = train(network, 1, "--init", init, "--shapes-conflict", conflict)
        values, _ = analyze(run, "shape-bias")
        often = "always" if conflict else "never"
        print(f"{name:<12} {often:<13} {100 * values['shape_bias']:>16.0f} %"
              f" {100 * values['cue_match']:>25.0f} %")


if __name__ == "__main__":
    main()
