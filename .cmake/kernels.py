#!/usr/bin/env python3
"""Compiles every CUDA source for the GPU and prints what each kernel takes: registers, shared
memory, spills.

usage: kernels.py OUTPUT_DIR [--jobs N] [--verbose]

Warnings are errors. Fails when a hot kernel spills registers to memory. What has not changed is not
compiled again.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURES = ("80", "90a")  # machine code for both, and PTX of 90 for what comes after
# Kernels that may spill. f64 exists for checks; all others are what a training step waits for.
COLD = re.compile(r"\bdouble\b")
FLAGS = [
    "-std=c++20", "--expt-relaxed-constexpr", "--extended-lambda", "-Werror=all-warnings",
    "-Xcompiler=-Wall,-Wextra", "-Xptxas=-v", "-DPASSBAND_SOURCES", "-DPASSBAND_HAS_CUDA=1",
    "-DPASSBAND_HAS_SM90A=1", f"-I{ROOT}"
]


def find_nvcc():
    for folder in (os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"):
        if folder and (Path(folder) / "bin/nvcc").exists():
            return str(Path(folder) / "bin/nvcc")
    return shutil.which("nvcc")


def is_fresh(log, depfile):
    if not log.exists() or not depfile.exists():
        return False
    text = depfile.read_text().replace("\\\n", " ").split(":", 1)[1]
    made = log.stat().st_mtime
    return all(Path(name).exists() and Path(name).stat().st_mtime < made for name in text.split())


def compile_source(nvcc, source, folder):
    """Returns (source, seconds, ptxas's report or None, error text)."""
    stem = str(source.relative_to(ROOT / "tensor")).replace("/", "_")
    log, depfile, object_file = (folder / (stem + end) for end in (".log", ".d", ".o"))
    if is_fresh(log, depfile):
        return source, 0.0, log.read_text(), ""
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
    targets.append("-gencode=arch=compute_90,code=compute_90")
    begin = time.monotonic()
    result = subprocess.run(
        [nvcc, *FLAGS, *targets, "-MD", "-MF", depfile, "-c", source, "-o", object_file],
        capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    object_file.unlink(missing_ok=True)
    if result.returncode != 0:
        return source, seconds, None, result.stderr
    log.write_text(result.stderr)
    return source, seconds, result.stderr, ""


def parse_report(text, source):
    """Kernels of one source: dictionaries with symbol, source, arch, registers, shared, stack,
    spills."""
    kernels, current = [], None
    for line in text.splitlines():
        if entry := re.search(r"Compiling entry function '(\w+)' for 'sm_(\d+)\w*'", line):
            current = {
                "symbol": entry[1], "arch": entry[2], "registers": 0, "shared": 0, "stack": 0,
                "spills": 0, "source": source.stem.removesuffix("_cuda")
            }
            kernels.append(current)
        elif current and (frame := re.search(
                r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes", line)):
            if current["registers"] == 0:  # later frames are those of functions it calls
                current["stack"], current["spills"] = int(frame[1]), int(frame[2]) + int(frame[3])
        elif current and (used := re.search(r"Used (\d+) registers", line)):
            current["registers"] = int(used[1])
            shared = re.search(r"(\d+) bytes smem", line)
            current["shared"] = int(shared[1]) if shared else 0
    return kernels


def demangle(symbols):
    text = subprocess.run(["c++filt"], input="\n".join(symbols), capture_output=True, text=True,
                          check=True).stdout
    names = {}
    for symbol, name in zip(symbols, text.splitlines()):
        name = re.sub(r"passband::|cuda::|\(anonymous namespace\)::|^void ", "", name)
        depth, end = 0, len(name)
        for i, letter in enumerate(name):  # up to the parameter list
            depth += (letter == "<") - (letter == ">")
            if letter == "(" and depth == 0:
                end = i
                break
        names[symbol] = name[:end]
    return names


def print_table(kernels, verbose):
    """One line per kernel template and architecture (the most demanding instance), all instances
    when verbose."""
    names = demangle(sorted({k["symbol"] for k in kernels}))
    groups = {}
    for k in kernels:
        k["name"] = k["source"] + ": " + names[k["symbol"]].removesuffix("_kernel").replace(
            "_kernel<", "<")
        key = (k["name"] if verbose else k["name"].split("<")[0], k["arch"])
        groups.setdefault(key, []).append(k)
    print(
        f"{'kernel':<58} {'sm':>3} {'instances':>9} {'registers':>9} {'shared':>7} {'stack':>6}"
        f" {'spills':>6}"
    )
    for (name, arch), group in sorted(groups.items()):
        worst = [
            max(k[field] for k in group) for field in ("registers", "shared", "stack", "spills")
        ]
        print(
            f"{name[:58]:<58} {arch:>3} {len(group):>9} {worst[0]:>9} {worst[1]:>7} {worst[2]:>6}"
            f" {worst[3]:>6}"
        )
    return [k for k in kernels if k["spills"] and not COLD.search(k["name"])]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", action="store_true", help="every instance of a template")
    parser.add_argument("--only", default="", help="sources whose path contains this")
    options = parser.parse_args()
    nvcc = find_nvcc()
    if not nvcc:
        sys.exit("kernels: no nvcc here; install the CUDA toolkit 12.4 or later, or set CUDA_PATH")
    options.output.mkdir(parents=True, exist_ok=True)
    sources = sorted(s for s in (ROOT / "tensor").rglob("*.cu") if options.only in str(s))
    begin, kernels, failed = time.monotonic(), [], False
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(compile_source, nvcc, source, options.output) for source in sources]
        for job in concurrent.futures.as_completed(jobs):
            source, seconds, report, error = job.result()
            print(f"{seconds:6.1f} s  {source.relative_to(ROOT)}", file=sys.stderr, flush=True)
            if report is None:
                failed = True
                print(error, file=sys.stderr)
            else:
                kernels += parse_report(report, source)
    spilling = print_table(kernels, options.verbose)
    print(f"\n{len(kernels)} kernels of {len(sources)} sources for sm_80, sm_90 and PTX in "
          f"{time.monotonic() - begin:.0f} s")
    for k in spilling:
        print(f"kernels: {k['name']} spills {k['spills']} bytes on sm_{k['arch']}", file=sys.stderr)
    sys.exit(1 if failed or spilling else 0)


if __name__ == "__main__":
    main()
