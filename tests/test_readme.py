#!/usr/bin/env python3
"""The commands of README.md, as they stand there and in their order, in a folder that holds several
older runs. Usage: test_readme.py BUILD_DIR

./train, ./analyze and make are stand-ins that call the programs with small settings (small_train
and small_analyze below); NOT_RUN says which commands are only looked at, and why."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("./train", "./analyze", "make", "cd", "python3", "ctest", "cmake",
            "mpirun")
# First words of blocks that hold no commands.
OTHER_BLOCKS = ("#include", "find_package(passband", "passband.h")
SMALL = {"data": "shapes", "shapes_train": 96, "shapes_test": 24, "epochs": 1, "warmup_epochs": 0,
         "batch_size": 12, "threads": 1, "checkpoint_interval": 1}
SMALL_MODELS = {"alternet": "C.CM:width=8,head_dim=8", "C.CM.CM.CM": "C.CM.CM:width=8,head_dim=8",
                "C.CC.CC.CC": "C.CC.CC:width=8", "vit": "M.M:width=8,head_dim=8",
                "resnet50": "C.C:width=8", "airbench94": "airbench_8_8_8"}
QUICK = ("rollout.pictures=1", "rollout-gradient.pictures=1", "rollout-class.pictures=1",
         "hessian.minibatches=1", "hessian.batch=2", "hessian.steps=2",
         "hessian.top=1", "hessian.trace_probes=0", "landscape.side_points=3",
         "landscape.line_points=3")
NOT_RUN = (
    # Of make, what it would do.
    (r"make( test| bench| kernels| gpu-kit)?$", "minutes of compiling or measuring"),
    (r"make run$", "packages, network, minutes"),
    (r"(PASSBAND_ROWS=\S+ )?make gpu-check", "a GPU"),
    (r"mpirun ", "several hosts; test_distributed runs it on one"),
    (r"make bundle$", "packages from the network"),
    (r"python3 experiments/gpu/check\.py", "minutes; test_gpu_check rehearses it"),
    (r"ctest ", "the suite that this test is a part of"),
    (r"\./(train|analyze) .*--weights (vit_tiny\.safetensors|\S+\.th)", "weights from elsewhere"),
    (r"\./analyze .* (--against B\.safetensors|--pictures FOLDER)",
     "weights of ImageNet's classes; test_study and test_analyze show both options"),
    (r"\./analyze .*--serve$", "it serves until it is interrupted; test_served_pages does both"),
    (r"\./train --pack FOLDER OUT$", "a folder of pictures; test_shards packs one"),
    (r"\./analyze .*STIMULI$", "published stimuli, and weights of ImageNet's classes"),
)


def blocks(text):
    """The indented blocks of a page, as lists of lines."""
    found, block, before = [], [], ""
    for line in text.splitlines() + ["end"]:
        if line.startswith("    ") and (block or not before.strip()):
            block.append(line.strip())
        elif line.strip() or not block:
            if block:
                found.append(block)
            block = []
        before = line
    return found


def commands(text):
    """Of all blocks and of the code within sentences, in order."""
    codes = re.findall(r"`(\./(?:train|analyze) [^`]*)`", text)
    inline = "\n\n".join(f"    {code}" for code in codes)
    for block in blocks(text) + blocks(inline + "\n"):
        if block[0].startswith(OTHER_BLOCKS):
            continue
        for line in block:
            command = re.sub(r"(^|\s{2,})#.*", "", line).strip()
            if not command:
                continue
            word = re.sub(r"^PASSBAND_\w+=\S+ ", "", command).split()[0]
            assert word in COMMANDS, f"README.md: neither a command nor a block known here: {line}"
            yield command


def with_setting(words, key, value):
    """The call with a setting in the place of its own one, or by --set."""
    option = "--" + key.replace("_", "-")
    if option in words:
        at = words.index(option) + 1
        return words[:at] + [str(value)] + words[at + 1:]
    for at, word in enumerate(words):
        if word == "--set" and words[at + 1].startswith(f"{key}="):
            return words[:at + 1] + [f"{key}={value}"] + words[at + 2:]
    return words + ["--set", f"{key}={value}"]


def small_train(words):
    """A call of train with the settings that make it small."""
    if "--resume" in words:
        return with_setting(words, "epochs", 2)
    # A run that is repeated is small itself.
    if {"--list", "--doctor", "cuda-emulated"} & set(words) or "--recipe last" in " ".join(words):
        return words
    model = words[words.index("--model") + 1] if "--model" in words else "alternet"
    if "cifar10-94" in words:
        model = "airbench94"
    small = SMALL | {"model": SMALL_MODELS.get(model, model)}
    if "structured" in words:  # needs a table of positions
        small["model"] = model
    if "--pretrained-from" in words:
        del small["model"]
    if "--minutes" in words:
        del small["epochs"]
        small["minutes"] = 0.01
    for key, value in small.items():
        words = with_setting(words, key, value)
    return words


def small_analyze(words):
    other = SMALL_MODELS | {"cifar10": "shapes"}
    small = ["--images", "4", "--threads", "1"]
    if {"--full", "--against", "--weights"} & set(words) and "--only" not in words:
        small += ["--only", "cka,fourier,calibration"]  # the quick set is run by other calls
    elif "--only" not in words:
        small += [word for option in QUICK for word in ("--set", option)]
    return [other.get(word, word) for word in words] + small


class Readme(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-readme-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.begin = time.time()
        self.runs = self.dir / "runs"
        self.runs.mkdir()
        (self.dir / "build").mkdir()
        for program in ("train", "analyze"):
            stand_in = self.dir / "build" / program
            this = f"'{sys.executable}' -B '{Path(__file__).resolve()}' '{BUILD}'"
            stand_in.write_text(f"#!/bin/sh\nexec {this} --stand-in {program} \"$@\"\n")
            stand_in.chmod(0o755)
        (self.dir / "build" / "my.toml").write_text("[train]\nsmoothing = 0.2\n")

    def execute(self, command, where):
        print(f"{time.time() - self.begin:6.1f} s $ {command}", flush=True)
        return subprocess.run(["bash", "-c", command], cwd=where, text=True, capture_output=True,
                              timeout=240)

    def older_runs(self):
        """Four that are whole, one that was killed before its first save, one that is empty."""
        made = self.execute("./train --model C.C:width=8", self.dir / "build")
        self.assertEqual(made.returncode, 0, made.stderr)
        run = (self.runs / "last").resolve()
        for i in range(1, 5):
            shutil.copytree(run, self.runs / f"2026010{i}-101010-C.C-shapes")
        (self.runs / "20260105-101010-C.C-shapes").mkdir()
        shutil.copy(run / "config.toml", self.runs / "20260105-101010-C.C-shapes")
        (self.runs / "20260106-101010-C.C-shapes").mkdir()
        shutil.copy(run / "last.safetensors", self.dir / "build" / "FILE.safetensors")

    def filled(self, command):
        """RUN becomes the name of the newest run but the last, then of the one before."""
        last = (self.runs / "last").resolve().name
        whole = [run.parent.name for run in self.runs.glob("2*/last.safetensors")]
        names = [name for name in sorted(whole, reverse=True) if name != last]
        return re.sub(r"\bRUN\b", lambda _: names.pop(0), command)

    def check(self, command, where):
        result = self.execute(self.filled(command), where)
        said = f"{command}\n{result.stdout}\n{result.stderr}"
        if re.search(r"--device cuda$", command) and not list(Path("/dev").glob("nvidia[0-9]*")):
            self.assertEqual(result.returncode, 2, said)
            self.assertIn("cmake --preset cuda", result.stderr)
        elif "--processes" in command and not list(BUILD.glob("passband_*.so")):
            self.assertEqual(result.returncode, 2, said)
        elif "cuda-emulated" in command and not (BUILD / "train-emulated").exists():
            self.assertNotEqual(result.returncode, 0, said)
        else:
            self.assertEqual(result.returncode, 0, said)

    def test_its_commands_work_in_their_order(self):
        self.older_runs()
        where, count = self.dir, 0
        for command in commands((ROOT / "README.md").read_text()):
            if any(re.match(pattern, command) for pattern, reason in NOT_RUN):
                if "make" in command:
                    self.check(command.replace("make", f"make -C '{ROOT}' --dry-run", 1), where)
                continue
            if command.startswith("make"):
                command = command.replace("make", f"make -C '{ROOT}'", 1)
            self.check(command, where)
            where, count = self.dir / "build", count + 1
        self.assertGreater(count, 20)

    def test_a_block_that_is_no_command_is_noticed(self):
        self.assertEqual(list(commands("x\n\n    ./train --model a   # b\n    # c\n\ny\n")),
                         ["./train --model a"])
        with self.assertRaisesRegex(AssertionError, "neither a command"):
            list(commands("x\n\n    ./trian --model a\n\ny\n"))


def stand_in(program, words):
    small = {"train": small_train, "analyze": small_analyze}[program]
    os.execv(BUILD / program, [str(BUILD / program), *small(words)])


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else ROOT / "build"
    if len(sys.argv) > 2 and sys.argv[1] == "--stand-in":
        stand_in(sys.argv[2], sys.argv[3:])
    unittest.main()
