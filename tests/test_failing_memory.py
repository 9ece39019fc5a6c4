#!/usr/bin/env python3
"""A training or an analysis that finds no memory at one allocation, wherever it is: one line, the
code of it, nothing half-written, and the next call goes on. Usage: test_failing_memory.py BUILD_DIR
LIBRARY, which is made of failing_memory.cpp."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SMALL = ["--model", "C.CM:width=8,head_dim=8", "--data", "shapes", "--shapes-train", "24",
         "--shapes-test", "8", "--batch-size", "8", "--epochs", "2", "--threads", "1"]
TRIES = 24  # of growing distances, since most kinds of allocation come early, and as many even ones


class FailingMemory(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-memory-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        (self.dir / "runs").mkdir()

    def execute(self, program, *args, failing=0):
        settings = {"LD_PRELOAD": str(LIBRARY), "PASSBAND_FAILING_ALLOCATION": str(failing),
                    "PASSBAND_COUNTED_ALLOCATIONS": str(self.dir / "count")}
        return subprocess.run([BUILD / program, *map(str, args)], cwd=self.dir, text=True,
                              capture_output=True, timeout=240, env={**os.environ, **settings})

    def succeed(self, program, *args):
        result = self.execute(program, *args)
        self.assertEqual(result.returncode, 0, result.stderr)
        return int((self.dir / "count").read_text())

    def each(self, count, tries=TRIES):
        """Of 1 to `count`."""
        return sorted({1 + round(count**(i / tries)) for i in range(tries)} |
                      {round(count * (i + 0.5) / tries) for i in range(tries)})

    def check_run(self, run):
        """Each file is the whole of itself: the programs' own checksums say so."""
        for file in run.rglob("*"):
            self.assertNotIn(".tmp-", file.name)
        if (run / "optim.safetensors").exists():
            self.succeed("train", "--resume", run)

    def test_a_training(self):
        count = self.succeed("train", *SMALL)
        whole = (self.dir / "runs" / "last" / "last.safetensors").read_bytes()
        self.assertGreater(count, 1000)
        for k in self.each(count):
            shutil.rmtree(self.dir / "runs")
            (self.dir / "runs").mkdir()
            result = self.execute("train", *SMALL, failing=k)
            said = f"allocation {k} of {count}: {result.stderr}"
            runs = [run for run in (self.dir / "runs").iterdir() if not run.is_symlink()]
            if result.returncode == 0:  # a block that is only kept for later need not be had
                self.assertEqual((runs[0] / "last.safetensors").read_bytes(), whole, said)
                continue
            self.assertEqual(result.returncode, 5, said)
            self.assertIn("out of memory", result.stderr.splitlines()[-1], said)
            self.assertNotIn("terminate", result.stderr)
            self.assertLessEqual(len(runs), 1)
            for run in runs:
                self.check_run(run)
                if (run / "optim.safetensors").exists():
                    self.assertEqual((run / "last.safetensors").read_bytes(), whole, said)

    def files_of(self, report):
        """Name and content of each file of a report, but for its locks."""
        return {str(file.relative_to(report)): file.read_bytes()
                for file in report.rglob("*") if file.is_file() and file.name != ".lock"}

    def test_an_analysis(self):
        self.succeed("train", *SMALL)
        report = self.dir / "report"
        command = ["analyze", "--run", "last", "--only", "fourier,calibration",
                   "--images", 8, "--threads", 1, "--output", report]
        count = self.succeed(*command)
        whole = self.files_of(report)
        self.assertGreater(count, 1000)
        for k in self.each(count, TRIES // 2):
            shutil.rmtree(report)
            result = self.execute(*command, failing=k)
            said = f"allocation {k} of {count}: {result.stderr}"
            left = self.files_of(report) if report.exists() else {}
            for name, content in left.items():
                self.assertNotIn(".tmp-", name, said)
                if name.split("/")[0] in ("figures", "data", "sections"):
                    self.assertEqual(content, whole[name], said + name)
            if result.returncode != 0:
                self.assertEqual(result.returncode, 5, said)
                lines = [line for line in result.stderr.splitlines() if "out of memory" in line]
                self.assertEqual(len(lines), 1, said)
                self.assertNotIn("terminate", result.stderr)
                self.succeed(*command)
            self.assertEqual(self.files_of(report), whole, said)


if __name__ == "__main__":
    LIBRARY = Path(sys.argv.pop(2)).resolve()
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
