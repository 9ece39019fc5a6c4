"""Checks the exercises of lesson 7 by building the networks and counting."""

from tools import check, costs, exercises

STUDENT = exercises()


def counted(pattern):
    network = costs(pattern)[0]
    stages = network["pattern"].split(".")
    return stages, network["parameters"], network["macs"]


def small():
    stages, parameters, _ = counted(STUDENT.SMALL)
    if len(stages) != 2:
        return f"two stages are asked for, {'.'.join(stages)} has {len(stages)}"
    if not {"C", "M"} <= set("".join(stages)):
        return "both C and M must be in it"
    if parameters > 24000:
        return (f"{parameters} parameters are too many; M has heads x head_dim channels for each "
                "of queries, keys and values: give it fewer, or the network a smaller width")
    return ""


def mixed():
    stages, _, products = counted(STUDENT.MIXED)
    blocks = "".join(stages)
    if len(stages) != 3 or len(blocks) < 6:
        return f"{'.'.join(stages)} has {len(stages)} stages and {len(blocks)} blocks, not 3 and 6"
    if len(set(blocks)) < 3:
        return "three kinds of blocks: which letters are there? ./train --list models says"
    if products > 12e6:
        return (f"{products / 1e6:.1f} million products: a block in the first stage works on most"
                " places, so put new blocks late; P has no weights of its own for places")
    return ""


check(small, mixed)
