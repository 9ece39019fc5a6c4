#!/usr/bin/env python3
"""Builds for the GPU of this machine, tests the kernels on it, measures them, and writes a page and a JSON file.

usage: check.py BUILD_DIR [--jobs N] [--quick]

Each part is tried, and what failed or is missing stands in the page: tests of every operation and of whole models
against the CPU, NVIDIA's compute-sanitizer where it is installed, operations beside the device's own copy and product
rates, training steps of the networks as they come and as one recorded launch.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = [("resnet18", 32), ("resnet50", 32), ("preact_resnet50", 32), ("vit_tiny_patch4", 32),
          ("vit_small_patch4", 32), ("lambda_resnet50", 32), ("alternet_50", 32), ("resnet50", 224),
          ("vit_small_patch16", 224)]
TESTS = ["test_op_table", "test_cuda_products", "test_cuda_training"]
SANITIZERS = ["memcheck", "racecheck", "initcheck"]


class Check:
    def __init__(self, options):
        self.build, self.jobs, self.quick = options.build.resolve(), options.jobs, options.quick
        self.result = {"tests": {}, "sanitizer": {}, "operations": None, "training": []}

    def run(self, *command, timeout=1200):
        """(exit code, output); a command that does not end is a failure, not the end of the check."""
        print("+", *map(str, command), flush=True)
        try:
            done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=timeout,
                                  check=False)
            return done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            return 124, f"not finished after {timeout} s"

    def compile(self):
        flags = ["-DPASSBAND_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native"]
        if (ROOT / "packages").is_dir():  # of `make bundle`
            flags.append(f"-DCMAKE_PREFIX_PATH={ROOT / 'packages/usr'}")
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        begin = time.monotonic()
        for command in (["cmake", "-S", ROOT, "-B", self.build, *generator, *flags],
                        ["cmake", "--build", self.build, "-j", self.jobs, "--target", "programs", *TESTS]):
            code, output = self.run(*command, timeout=3000)
            if code:
                sys.exit(f"gpu-check: the build failed\n{output[-4000:]}")
        self.result["build_seconds"] = round(time.monotonic() - begin)

    def test(self):
        for name in TESTS:
            code, output = self.run(self.build / "tests" / name)
            self.result["tests"][name] = "passed" if code == 0 else output[-2000:]

    def sanitize(self):
        tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
        if not Path(tool).exists():
            self.result["sanitizer"] = "compute-sanitizer is not installed"
            return
        for kind in SANITIZERS:
            code, output = self.run(tool, "--tool", kind, "--error-exitcode", "9", self.build / "tests/test_op_table",
                                    "-tc=*on the device*", timeout=1800)
            summary = re.findall(r"ERROR SUMMARY: (.*)|RACECHECK SUMMARY: (.*)", output)
            self.result["sanitizer"][kind] = "passed" if code == 0 else str(summary or output[-500:])

    def bench(self, *arguments):
        code, output = self.run(self.build / "bench", "--device", "cuda", "--json", *arguments)
        try:
            return json.loads(output[output.index("{"):]) if code == 0 else {"failed": output[-500:]}
        except ValueError:
            return {"failed": output[-500:]}

    def measure(self):
        self.result["operations"] = self.bench("--op", "all", "--batch-size", 128)
        for model, side in MODELS:
            for batch in (128,) if self.quick or side > 32 else (128, 512):
                common = ["--train", model, "--batch-size", batch, "--img-size", side, "--precision", "bf16",
                          "--classes", 10 if side == 32 else 1000]
                entry = {"model": model, "side": side, "batch": batch, "eager": self.bench(*common),
                         "graph": self.bench(*common, "--graph")}
                self.result["training"].append(entry)

    def write(self):
        operations = self.result["operations"]
        device = operations.get("device", "unknown GPU")
        stem = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(.*\)", "", device).strip().lower())
        folder = ROOT / "experiments" / "gpu"
        (folder / f"{stem}.json").write_text(json.dumps(self.result, indent=1) + "\n")
        (folder / f"{stem}.md").write_text(page(device, self.result))
        print(f"{folder / stem}.md")


def number(entry, key):
    return f"{entry[key]:.1f}" if isinstance(entry.get(key), (int, float)) else "-"


def page(device, result):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            check=False).stdout.strip() or "a bundle"
    lines = [f"# {device}", "", f"`make gpu-check` at {commit}, {time.strftime('%Y-%m-%d')}.", "", "## Tests", ""]
    lines += [f"- {name}: {'passed' if text == 'passed' else 'failed, see the JSON file'}"
              for name, text in result["tests"].items()]
    sanitizer = result["sanitizer"]
    if isinstance(sanitizer, str):
        lines.append(f"- {sanitizer}")
    else:
        lines += [f"- compute-sanitizer {kind}: {text}" for kind, text in sanitizer.items()]
    operations = result["operations"]
    lines += ["", "## Operations", "",
              f"The device copies {number(operations, 'copy_gbytes_per_s')} GB/s and multiplies large matrices at "
              f"{number(operations, 'product_gflops_bf16')} GFLOP/s in bf16, "
              f"{number(operations, 'product_gflops_f32')} in f32, measured in the same run.", "",
              "| operation | shape | type | ms | of the limit |",
              "|---|---|---|---|---|"]
    for row in operations.get("results", []):
        lines.append(f"| {row['op']} | {row['shape']} | {row['dtype']} | {row['ms']:.4f} | "
                     f"{100 * row['share_of_peak']:.0f} % |")
    lines += ["", "## Training steps, bf16", "", "| model | side | batch | images/s eager | graph | peak MiB |",
              "|---|---|---|---|---|---|"]
    for entry in result["training"]:
        lines.append(f"| {entry['model']} | {entry['side']} | {entry['batch']} | "
                     f"{number(entry['eager'], 'images_per_s_median')} | "
                     f"{number(entry['graph'], 'images_per_s_median')} | {number(entry['graph'], 'peak_memory_mb')} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true", help="no sanitizers, one batch size")
    options = parser.parse_args()
    if not Path("/dev/nvidia0").exists():
        sys.exit("gpu-check: this machine has no NVIDIA GPU (no /dev/nvidia0); `make test` runs the kernels on the "
                 "emulator, `make kernels` compiles them")
    check = Check(options)
    check.compile()
    check.test()
    if not options.quick:
        check.sanitize()
    check.measure()
    check.write()
    sys.exit(any(text != "passed" for text in check.result["tests"].values()))


if __name__ == "__main__":
    main()
