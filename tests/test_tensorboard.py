#!/usr/bin/env python3
"""Event files of `train --log tensorboard`, read back by TensorBoard itself and compared with
metrics.jsonl. Usage: test_tensorboard.py BUILD_DIR
Exits with 77 where TensorBoard is missing; PASSBAND_PACKAGES names a folder that has it."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SKIPPED = 77
BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else Path("build").resolve()
if os.environ.get("PASSBAND_PACKAGES"):
    sys.path.insert(0, os.environ["PASSBAND_PACKAGES"])
SMALL = ["--model", "C.CM:width=8,head_dim=8", "--data", "shapes", "--shapes-train", 64,
         "--shapes-test", 40, "--batch-size", 32, "--warmup-epochs", 0]


def train(*args, code=0):
    result = subprocess.run([BUILD / "train", *map(str, args)], text=True, timeout=240,
                            capture_output=True)
    if result.returncode != code:
        raise AssertionError(f"train {args}: {result.stdout}\n{result.stderr}")
    return result


class Events(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-events-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def check(self, run):
        """Each number of metrics.jsonl, at its step, and none besides."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        events = EventAccumulator(str(run), size_guidance={"scalars": 0})
        events.Reload()
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        expected = {}
        for line in lines:
            split = line["split"]
            values = {"loss": line["loss"], "accuracy": line.get("accuracy", line.get("top1"))}
            if split == "train":
                expected.setdefault("learning rate", {})[line["step"]] = line["lr"]
            else:
                values["top-5"] = line["top5"]
            for name, value in values.items():
                expected.setdefault(f"{name}/{split}", {})[line["step"]] = value
        self.assertEqual(set(events.Tags()["scalars"]), set(expected))
        for tag, numbers in expected.items():
            found = events.Scalars(tag)
            self.assertEqual([event.step for event in found], sorted(numbers), tag)
            for event in found:
                self.assertTrue(math.isclose(event.value, numbers[event.step], rel_tol=1e-6), tag)
                self.assertLess(abs(event.wall_time - time.time()), 3600)
        return len(lines)

    def test_tensorboard_reads_what_the_log_says(self):
        said = train(*SMALL, "--epochs", 3, "--eval-interval", 1, "--log", "tensorboard", "--json",
                     "--output", self.dir)
        run = Path(json.loads(said.stdout)["run"])
        self.assertEqual(len(list(run.glob("events.out.tfevents.*"))), 1)
        self.assertEqual(self.check(run), 6 + 3)

    def test_a_run_that_goes_on_takes_back_what_it_does_again(self):
        process = subprocess.Popen(
            [BUILD / "train", *map(str, SMALL), "--epochs", "200", "--save-minutes", "0",
             "--log", "tensorboard", "--output", self.dir],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.time() + 60
        logged = 0
        while logged < 9 and time.time() < end:
            time.sleep(0.05)
            logs = [path for path in self.dir.glob("*/metrics.jsonl") if "last" not in path.parts]
            logged = len(logs[0].read_text().splitlines()) if logs else 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        run = logs[0].parent
        train("--resume", run, "--epochs", 20, "--log", "tensorboard")
        self.assertEqual(len(list(run.glob("events.out.tfevents.*"))), 2)
        self.check(run)

    def test_it_refuses_another_log_in_one_line(self):
        said = train(*SMALL, "--log", "paper", "--output", self.dir, code=2).stderr.strip()
        self.assertEqual(len(said.splitlines()), 1, said)
        self.assertIn("tensorboard", said)


if __name__ == "__main__":
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}; name a folder that has TensorBoard by PASSBAND_PACKAGES")
        sys.exit(SKIPPED)
    unittest.main()
