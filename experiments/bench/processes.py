#!/usr/bin/env python3
"""Pictures a second of two processes of one thread beside one process of two threads, which have
the same batch of pictures: what sharing a step costs on one machine.

    processes.py [--train ./train] [--pairs 7] [--steps 60] [--batch-size 64] [-- ARGUMENTS]

ARGUMENTS are train's; as first set: --model alternet --data shapes --precision f32. Both take
turns, and so does which of them begins a pair. It says something on a free machine alone: what
other programs took of the processors, from /proc/stat, is printed. Prints one line a pair, then one
JSON object: the median ratio, two processes to one, with its quartiles, least and most."""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", default="./train")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    options.train = os.path.abspath(options.train)
    if not os.access(options.train, os.X_OK):
        parser.error(f"--train {options.train}: no program; build it, or name where it is")
    if options.pairs < 1 or options.steps < 1 or options.batch_size < 2 or options.batch_size % 2:
        parser.error("--pairs and --steps are 1 or more, --batch-size is even")
    options.arguments = options.arguments or ["--model", "alternet", "--data", "shapes",
                                              "--precision", "f32"]
    return options


def busy_seconds():
    """Of all processors, since the machine started."""
    with open("/proc/stat") as file:
        user, nice, system = map(int, file.readline().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def rate(options, processes, folder):
    """Pictures a second, and the processor seconds that other programs took meanwhile."""
    command = [options.train, *options.arguments, "--steps", str(options.steps), "--batch-size",
               str(options.batch_size // processes), "--threads", str(3 - processes), "--json"]
    if processes > 1:
        command += ["--processes", str(processes)]
    all_before, own_before = busy_seconds(), own_seconds()
    run = subprocess.run(command, cwd=folder, check=False, text=True, capture_output=True)
    if run.returncode != 0:
        told = run.stderr.splitlines() or [f"{' '.join(command)} ended with {run.returncode}"]
        sys.exit(f"processes.py: {told[-1]}")
    others = busy_seconds() - all_before - (own_seconds() - own_before)
    return json.loads(run.stdout.splitlines()[-1])["images_per_s"], max(0.0, others)


def main():
    options = parse()
    pairs = []
    with tempfile.TemporaryDirectory(prefix="passband-processes-") as folder:
        os.mkdir(os.path.join(folder, "runs"))
        for i in range(options.pairs + 1):
            order = (1, 2) if i % 2 == 0 else (2, 1)
            rates, others = {}, 0.0
            for processes in order:
                rates[processes], more = rate(options, processes, folder)
                others += more
            if i == 0:  # reads the programs and the pictures
                continue
            pairs.append(rates[2] / rates[1])
            print(f"pair {i}: one process {rates[1]:.1f} pictures/s, two {rates[2]:.1f}, ratio "
                  f"{pairs[-1]:.3f}; others took {others:.1f} s of the processors", flush=True)
    quartiles = statistics.quantiles(pairs, n=4) if len(pairs) > 1 else pairs * 3
    print(json.dumps({"ratio": statistics.median(pairs), "quartiles": [quartiles[0], quartiles[2]],
                      "least": min(pairs), "most": max(pairs), "pairs": len(pairs),
                      "steps": options.steps, "batch_size": options.batch_size,
                      "arguments": options.arguments}))


if __name__ == "__main__":
    main()
