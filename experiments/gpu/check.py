#!/usr/bin/env python3
"""Builds for the GPU of this machine, tests the kernels on it, measures them, and writes a page and
a JSON file.

usage: check.py BUILD_DIR [--jobs N] [--minutes N] [--only GROUP,...] [--match TEXT] [--autotune]
       check.py BUILD_DIR --build-only      no more than the build; needs no GPU
       check.py BUILD_DIR --rehearse        every part, tiny, emulated, into a temporary folder
       check.py KIT_DIR --kit [--minutes N] [--results DIR]   with what kit.py has packed

Groups, in this order: tests (every test that touches the device, whole models against PyTorch's
golden values, programs end to end), operations (beside the device's own copy and product rates),
training (steps as they come, as one recorded launch, and in PyTorch after both have shown the same
first loss), sanitizer (NVIDIA's compute-sanitizer on the operations). A part that fails is reported
and the next one goes on. With --minutes no part starts after that time, and Ctrl-C ends with what
was found. What an earlier call found on this device stays in the files until the same part runs
again.

With --kit nothing is compiled, and the order is that of a machine that is there for minutes: all
tests at once, the steps of the goals by our own kernels and the libraries', a step of two networks
under ncu, the same steps in PyTorch, each with a limit of its own. --rehearse --kit rehearses that.
"""

import argparse
import collections
import concurrent.futures
import csv
import ctypes.util
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from page import write_files

ROOT = Path(__file__).resolve().parent.parent.parent
GROUPS = ("tests", "operations", "training", "sanitizer")
KIT_GROUPS = ("tests", "training", "launches")
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
# model, side of the pictures, batch sizes
MODELS = [("resnet18", 32, (512, 128)), ("resnet50", 32, (512, 128)),
          ("preact_resnet50", 32, (512, 128)), ("vit_tiny_patch4", 32, (512, 128)),
          ("vit_small_patch4", 32, (512, 128)), ("lambda_resnet50_all", 32, (512, 128)),
          ("alternet_50", 32, (512, 128)), ("resnet50", 224, (256,)),
          ("vit_small_patch16", 224, (256,))]
# Those of the goals, in the order of a short visit.
GOALS = [("resnet50", 224, 256), ("resnet50", 32, 512), ("vit_tiny_patch4", 32, 512),
         ("alternet_50", 32, 512), ("lambda_resnet50_all", 32, 512), ("resnet18", 32, 512)]
LAUNCHES = [("resnet50", 32, 512), ("vit_tiny_patch4", 32, 512)]
# One small member of each family, and of each test a case of a second or so.
REHEARSED_MODELS = [("C.C:width=8", 8, (2,)), ("C.CL:width=8,scope=3", 8, (2,)),
                    ("C.CM:width=8,heads=1", 8, (2,))]
REHEARSED_CASES = {"test_op_table": "*index outside*", "test_cuda_attention": "*fewer products*",
                   "test_cuda_norms": "pooling*", "test_cuda_products": "*known by name*",
                   "test_cuda_training": "*memory*", "test_models_golden": "A small AlterNet*"}


class PartFailed(Exception):
    pass


class Machine:
    """Runs the programs of a build folder on its device: the GPU, or in a rehearsal the
    emulator."""

    def __init__(self, options):
        self.build, self.rehearsed = options.build.resolve(), options.rehearse
        self.device = "cuda-emulated" if options.rehearse else "cuda"
        self.suffix = "-emulated" if options.rehearse else ""
        self.limit = None  # seconds that a command may take at most, whatever it is given
        self.tests = {}  # those that run beside one another: futures

    def run(self, *command, timeout=1200, **environment):
        """Output of a command that must end well."""
        timeout = min(timeout, self.limit or timeout)
        try:
            done = subprocess.run([str(word) for word in command], cwd=self.build,
                                  capture_output=True, text=True, timeout=timeout, check=False,
                                  env={**os.environ, **environment})
        except subprocess.TimeoutExpired as expired:
            said = expired.stdout or b""
            said = said.decode(errors="replace") if isinstance(said, bytes) else said
            message = f"{command[0]} had not ended after {timeout} s\n{shortened(said)}".strip()
            raise PartFailed(message) from expired
        except OSError as error:
            raise PartFailed(f"{command[0]}: {error.strerror}") from error
        output = done.stdout + done.stderr
        if done.returncode:
            raise PartFailed(
                f"{' '.join(map(str, command))} ended with {done.returncode}\n{shortened(output)}")
        return output

    def compile(self, jobs):
        # Warnings that only this machine's compiler has must not cost the measurements.
        flags = ["-DPASSBAND_CUDA=ON", "-DPASSBAND_WERROR=OFF"]
        flags += ["-DCMAKE_CUDA_ARCHITECTURES=native"] * has_gpu()
        # Of `make bundle`; the old kind of run path serves libraries of libraries too.
        if (ROOT / "packages").is_dir():
            flags += [f"-DCMAKE_PREFIX_PATH={ROOT / 'packages/usr'}",
                      "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags"]
        if folder := cudnn_of_python():
            flags.append(f"-DCUDNN_ROOT={folder}")
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        self.build.mkdir(parents=True, exist_ok=True)
        self.run("cmake", "-S", ROOT, "-B", self.build, *generator, *flags)
        targets = ["programs", *(name for name, _ in device_tests())]
        return self.run("cmake", "--build", self.build, "-j", jobs, "--target", *targets,
                        timeout=3600)

    def test(self, name):
        """A test binary. A fault shows where the device is next waited for: one that fails says
        more when it runs again, every launch being waited for."""
        try:
            return self.run_test(name)
        except PartFailed as failure:
            if self.rehearsed:
                raise
            try:
                self.run_test(name, CUDA_LAUNCH_BLOCKING="1")
            except PartFailed as again:
                raise PartFailed(f"{failure}\nwith CUDA_LAUNCH_BLOCKING=1: {again}") from again
            raise PartFailed(
                f"{failure}\nwith CUDA_LAUNCH_BLOCKING=1 it passes: look for a missing wait"
            ) from failure

    def run_test(self, name, **environment):
        """Where a binary does not know the device by itself, PASSBAND_DEVICE tells it."""
        binary = self.build / "tests" / (name + self.suffix.replace("-", "_"))
        chosen = [f"-tc={REHEARSED_CASES.get(name, '*')}"] if self.rehearsed else []
        output = self.run(binary, *chosen, PASSBAND_DEVICE=self.device, **environment)
        counts = re.search(r"test cases:\s*(\d+)", output)
        if not counts or counts[1] == "0":
            raise PartFailed(f"{name} ran no test case")
        return {"cases": int(counts[1])}

    def test_beside_others(self, name):
        """All tests begin with the first one asked for: most of their time the processor makes the
        values that the device's are compared with."""
        if not self.tests:
            names = [name for name, _ in device_tests()]
            pool = concurrent.futures.ThreadPoolExecutor(len(names))
            self.tests = {name: pool.submit(self.test, name) for name in names}
        return self.tests[name].result()

    def train_as_on_the_cpu(self):
        """The train program on device and CPU: the same losses."""
        there, here = self.train(self.device), self.train("cpu")
        if not there or len(there) != len(here) or any(
                abs(a - b) > 1e-4 * abs(b) for a, b in zip(there, here)):
            raise PartFailed(f"losses differ: {there} on {self.device}, {here} on the CPU")
        return {"losses": there}

    def train(self, device):
        """Losses of a few steps."""
        size = [
            "--model", "C.CM:width=8,head_dim=8", "--batch-size", 4, "--steps", 2, "--shapes-train",
            64, "--shapes-test", 16
        ] if self.rehearsed else ["--model", "alternet", "--batch-size", 32, "--steps", 5]
        with tempfile.TemporaryDirectory(prefix="passband-") as folder:
            self.run(self.build / ("train" + (self.suffix if device == self.device else "")),
                     "--device", device, "--data", "shapes", "--precision", "f32", *size,
                     "--output", folder)
            lines = next(Path(folder).glob("*/metrics.jsonl")).read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return [entry["loss"] for entry in entries if entry["split"] == "train"]

    def bench(self, *arguments):
        output = self.run(self.build / ("bench" + self.suffix), "--device", self.device, "--json",
                          *arguments, timeout=3600)
        try:
            return json.loads(output[output.index("{"):output.rindex("}") + 1])
        except ValueError as error:
            raise PartFailed(f"bench printed no JSON: {output[-500:]}") from error

    def launches(self, model, side, batch):
        """[kernel, launches, us, MB, percent of cycles that issue] of a step, the longest first."""
        tool = shutil.which("ncu") or "/usr/local/cuda/bin/ncu"
        if self.rehearsed or not Path(tool).exists():
            raise PartFailed("not run: " + ("no GPU" if self.rehearsed else "ncu is not installed"))
        metrics = ("gpu__time_duration.sum", "dram__bytes.sum",
                   "sm__issue_active.avg.pct_of_peak_sustained_elapsed")
        with tempfile.NamedTemporaryFile(prefix="passband-ncu-") as log:
            self.run(tool, "--clock-control", "none", "--cache-control", "none", "--kill", "yes",
                     "--launch-skip", 1500, "--launch-count", 900, "--metrics", ",".join(metrics),
                     "--csv", "--print-units", "base", "--log-file", log.name,
                     self.build / "bench", "--device", self.device, "--train", model, "--img-size",
                     side, "--batch-size", batch, "--precision", "bf16", "--steps", 2, "--engine",
                     "library")
            return launches_of(Path(log.name).read_text().splitlines(), metrics)

    def sanitize(self, kind):
        tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
        if self.rehearsed or not Path(tool).exists():
            raise PartFailed("not run: " +
                             ("no GPU" if self.rehearsed else "compute-sanitizer is not installed"))
        # Without PASSBAND_POOL=off tensors share memory.
        output = self.run(tool, "--tool", kind, "--error-exitcode", "9",
                          self.build / "tests/test_op_table", "-tc=*on the device*", timeout=3600,
                          PASSBAND_POOL="off")
        return {"summary": re.findall(r"(?:ERROR|RACECHECK) SUMMARY: (.*)", output)}


def launches_of(lines, metrics):
    """ncu's table, added up by kernel."""
    by_launch = collections.defaultdict(dict)
    for row in csv.DictReader(line for line in lines if line.startswith('"')):
        launch = by_launch[row["ID"]]
        launch["name"] = re.sub(r"\(.*|passband::cuda::|<unnamed>::|void ", "", row["Kernel Name"])
        launch[row["Metric Name"]] = float(row["Metric Value"].replace(",", ""))
    totals = collections.defaultdict(lambda: [0, 0.0, 0.0, 0.0])
    for launch in by_launch.values():
        total = totals[launch["name"][:120]]
        for i, value in enumerate((1, *(launch[metric] for metric in metrics))):
            total[i] += value
    rows = [[name, count, time_ns / 1e3, bytes_moved / 1e6, issue / count]
            for name, (count, time_ns, bytes_moved, issue) in totals.items()]
    return sorted(rows, key=lambda row: -row[2])[:40]


def open_kit(folder):
    """Unpacks a kit and returns where it lies; the programs that this process starts find their
    libraries and the tests their data."""
    unpacked = Path(tempfile.mkdtemp(prefix="passband-kit-"))
    shutil.unpack_archive(folder / "kit.tar.xz", unpacked)
    built_in = Path((unpacked / "root").read_text())
    if not built_in.exists():
        built_in.parent.mkdir(parents=True, exist_ok=True)
        built_in.symlink_to(ROOT)
    libraries = [unpacked / "lib", *libraries_of_python(), "/usr/local/cuda/lib64"]
    os.environ["LD_LIBRARY_PATH"] = ":".join(map(str, libraries))
    return unpacked


def libraries_of_python():
    """Folders of the CUDA libraries that came with PyTorch."""
    spec = importlib.util.find_spec("nvidia")
    return [path for place in (spec.submodule_search_locations if spec else ())
            for path in sorted(Path(place).glob("*/lib"))]


def has_gpu():
    """Whether any GPU was handed to this machine; a container may get just the fourth of its
    host."""
    return any(re.fullmatch(r"nvidia\d+", path.name) for path in Path("/dev").glob("nvidia*"))


def cudnn_of_python():
    """The folder of the cuDNN that came with PyTorch, where the system has none."""
    if ctypes.util.find_library("cudnn"):
        return None
    try:
        spec = importlib.util.find_spec("nvidia.cudnn")
    except ModuleNotFoundError:
        return None
    return next(iter(spec.submodule_search_locations), None) if spec else None


def shortened(text, ends=2500):
    """The beginning, which says what failed first, and the end, which counts."""
    text = text.strip()
    return text if len(text) <= 2 * ends else f"{text[:ends]}\n[...]\n{text[-ends:]}"


def device_tests():
    """(name, expected seconds) of every test binary that computes on the device."""
    names = sorted(path.stem for path in (ROOT / "tests").glob("test_cuda_*.cpp"))
    return [("test_op_table", 60)] + [(name, 30) for name in names] + [("test_models_golden", 60)]


def plan(machine, options):
    """Every part as (group, name, expected seconds, function)."""
    parts = [("tests", name, seconds, lambda name=name: machine.test(name))
             for name, seconds in device_tests()]
    parts.append(("tests", "train as on the CPU", 20, machine.train_as_on_the_cpu))
    if machine.rehearsed:
        operations, batch = [("layer_norm", "native"), ("softmax", "library")], 1
    else:
        operations, batch = [("all", "native"), ("conv2d", "library"), ("matmul", "library")], 128
    for name, engine in operations:
        arguments = ("--op", name, "--batch-size", batch, "--engine", engine)
        parts.append(("operations", f"{name} {engine}", 120, lambda a=arguments: machine.bench(*a)))
    for precision in ("bf16", "tf32"):
        for model, side, batches in REHEARSED_MODELS if machine.rehearsed else MODELS:
            for batch in batches:
                parts += training_parts(machine, options, model, side, batch, precision)
    parts += [("sanitizer", kind, 600, lambda kind=kind: machine.sanitize(kind))
              for kind in SANITIZERS]
    return [(group, name, 1, function)
            for group, name, _, function in parts] if machine.rehearsed else parts


def kit_plan(machine):
    """As plan, for a short visit: what tells most comes first, and every part has a limit."""
    small = machine.rehearsed
    goals = REHEARSED_MODELS[:1] if small else GOALS
    goals = [(model, side, batch[0] if small else batch) for model, side, batch in goals]
    parts = [("tests", name, 100, lambda name=name: machine.test_beside_others(name))
             for name, _ in device_tests()]

    def step(model, side, batch, *extra):
        return machine.bench("--train", model, "--batch-size", batch, "--img-size", side,
                             "--precision", "bf16", "--classes", 10 if side <= 64 else 1000,
                             "--steps", 1 if small else 15, "--graph", *extra)

    for goal in goals:
        name = "{} {} {} bf16 graph".format(*goal)
        parts.append(("training", name, 20, lambda goal=goal: step(*goal)))
        parts.append(("training", name + ", libraries", 20,
                      lambda goal=goal: step(*goal, "--engine", "library")))
    parts += [("launches", "{} {} {}".format(*goal), 50, lambda goal=goal: machine.launches(*goal))
              for goal in LAUNCHES]
    parts += [("training", "{} {} {} bf16 graph".format(*goal), 80,
               lambda goal=goal: step(*goal, "--peer", "--peer-modes", "tuned,compile"))
              for goal in goals]

    def limited(seconds, function):
        def run():
            machine.limit = 1.5 * seconds
            return function()

        return run

    return [(group, name, seconds, limited(seconds, function))
            for group, name, seconds, function in parts]


def training_parts(machine, options, model, side, batch, precision):
    common = [
        "--train", model, "--batch-size", batch, "--img-size", side, "--precision", precision,
        "--classes", 10 if side <= 64 else 1000, "--steps", 1 if machine.rehearsed else 50
    ]
    torch = ["--peer"] + ["--autotune"] * options.autotune
    modes = [("graph", ["--graph", *torch], 420 if options.autotune else 150)]
    if precision == "bf16":
        modes += [("eager", [], 20), ("graph, libraries", ["--graph", "--engine", "library"], 30)]
    name = f"{model} {side} {batch} {precision} "
    return [("training", name + mode, seconds, lambda extra=extra: machine.bench(*common, *extra))
            for mode, extra, seconds in modes]


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def run_parts(parts, minutes, keep=lambda found: None):
    """{"group: name": {outcome, seconds, data}} of the parts that ran; says how far it is and how
    long it will take.

    After every part keep(found) gets what there is so far: a machine may be taken away at any time.
    """
    begin, found = time.monotonic(), {}
    left = sum(seconds for _, _, seconds, _ in parts)
    spent = 0
    for number, (group, name, expected, function) in enumerate(parts, 1):
        gone = time.monotonic() - begin
        pace = gone / spent if spent else 1
        if minutes and gone > 60 * minutes:
            print(
                f"gpu-check: {minutes} minutes are over; {len(parts) - number + 1} parts have"
                " not run",
                flush=True,
            )
            break
        print(
            f"[{number:3}/{len(parts)}] {clock(gone)} gone, about {clock(left * pace)} left:"
            f" {group}: {name}",
            flush=True,
        )
        entry = {"outcome": "passed"}
        try:
            entry["data"] = function()
        except PartFailed as failure:
            entry["outcome"] = str(failure)
        except KeyboardInterrupt:
            print(f"gpu-check: interrupted; {len(parts) - number + 1} parts have not run",
                  flush=True)
            break
        except Exception as error:  # a mistake of this script's must not cost what was measured
            entry["outcome"] = f"{type(error).__name__}: {error}"
        entry["seconds"] = round(time.monotonic() - begin - gone, 1)
        if entry["outcome"] != "passed":
            print("  " + entry["outcome"].replace("\n", "\n  "), flush=True)
        found[f"{group}: {name}"] = entry
        try:
            keep(found)
        except Exception as error:
            print(f"  could not be kept yet: {type(error).__name__}: {error}", flush=True)
        spent, left = spent + expected, left - expected
    return found


def device_of(machine, found):
    """What the driver and the programs say of the device."""
    device = {"name": "unknown GPU"}
    for entry in found.values():
        data = entry.get("data")
        if isinstance(data, dict) and "device" in data:
            device["name"] = re.sub(r" \(cuda:\d+\)$", "", data["device"])
    try:
        fields = "name,driver_version,clocks.max.sm,power.limit,memory.total"
        values = machine.run("nvidia-smi", f"--query-gpu={fields}",
                             "--format=csv,noheader").splitlines()[0]
        device.update(zip(fields.split(","), (value.strip() for value in values.split(","))))
    except PartFailed:
        pass
    return device


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--minutes", type=float, default=0, help="start no part after this time")
    parser.add_argument("--only",
                        help="groups, comma-separated: " + ", ".join((*GROUPS, "launches")))
    parser.add_argument("--match", default="",
                        help="only parts whose name has this in it: 'resnet50 32 512 bf16'")
    parser.add_argument("--autotune", action="store_true",
                        help="PyTorch's max-autotune too: minutes a model")
    parser.add_argument("--build-only", action="store_true", help="compile, and run nothing")
    parser.add_argument("--rehearse", action="store_true",
                        help="on the emulated device, which must have been built")
    parser.add_argument("--kit", action="store_true",
                        help="the folder is one that kit.py packed: nothing is compiled")
    parser.add_argument("--results", type=Path, help="where the page and the JSON file go")
    options = parser.parse_args()
    known = KIT_GROUPS if options.kit else GROUPS
    groups = options.only.split(",") if options.only else known
    if unknown := set(groups) - set(known):
        parser.error(f"--only: no group {sorted(unknown)[0]}; there are " + ", ".join(known))
    if options.kit and not options.rehearse and not (options.build / "kit.tar.xz").exists():
        parser.error(f"--kit: {options.build} holds no kit.tar.xz (`make gpu-kit` packs one)")
    machine = Machine(options)
    parts = [
        part for part in (kit_plan(machine) if options.kit else plan(machine, options))
        if part[0] in groups and options.match in part[1]
    ]
    if not parts:
        parser.error(f"--match: no part of {','.join(groups)} has '{options.match}' in its name")
    if not options.rehearse:
        if not has_gpu() and not options.build_only:
            sys.exit(
                "gpu-check: this machine has no NVIDIA GPU (no /dev/nvidia0 or another number);"
                " `make test` runs the kernels on the emulator, `make kernels` compiles them"
            )
        if options.kit:
            machine.build = open_kit(options.build)
        else:
            print("gpu-check: building", flush=True)
            try:
                machine.compile(options.jobs)
            except PartFailed as failure:
                sys.exit(f"gpu-check: the build failed\n{failure}")
        if options.build_only:
            return
    folder = options.results or ROOT / "experiments" / "gpu"
    if options.rehearse and not options.results:
        folder = Path(tempfile.mkdtemp(prefix="passband-gpu-"))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(found):
        return write_files(folder, device_of(machine, found), found, options.rehearse)

    found = run_parts(parts, options.minutes, keep)
    print(keep(found))
    failed = [
        name for name, entry in found.items()
        if name.startswith("tests") and entry["outcome"] != "passed"
    ]
    sys.exit(f"gpu-check: failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
