#!/usr/bin/env python3
"""What the programs make of options that contradict, say nothing or ask too much, and of a run that
was the last. Usage: test_options.py BUILD_DIR"""

import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else Path("build").resolve()
ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--model", "C.C:width=8", "--data", "shapes", "--shapes-train", 16, "--shapes-test", 8,
         "--batch-size", 8, "--steps", 1, "--threads", 1]


class Options(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-options-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        (self.dir / "runs").mkdir()

    def execute(self, program, *args, code=0):
        result = subprocess.run([BUILD / program, *map(str, args)], cwd=self.dir, timeout=240,
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, code,
                         f"{program} {args}\n{result.stdout}\n{result.stderr}")
        return result

    def train(self, *args, **kwargs):
        return self.execute("train", *args, **kwargs)

    def refused(self, program, *args):
        lines = self.execute(program, *args, code=2).stderr.splitlines()
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def test_a_setting_that_is_said_twice_is_refused_unless_it_is_the_same(self):
        self.assertEqual(self.refused("train", "--lr", 0.1, "--set", "lr=0.2"),
                         'train: lr: is said twice, "0.1" and "0.2"; say it once')
        self.assertIn("batch_size: is said twice",
                      self.refused("train", "--set", "batch-size=3", "--set", "batch_size=4"))
        self.assertIn("precision: is said twice",
                      self.refused("train", "--amp", "--precision", "f32"))
        self.assertIn('lr = 0.1', self.train(*SMALL, "--dry-run", "--lr", 0.1, "--set",
                                             "lr=0.1").stdout)
        self.assertIn("--set: cka.layers is said twice",
                      self.refused("analyze", "--set", "cka.layers=all", "--set",
                                   "cka.layers=blocks"))

    def test_an_option_without_a_value_is_refused_by_name(self):
        for option in ("--pictures", "--against", "--data", "--weights", "--mean", "--output"):
            self.assertEqual(self.refused("analyze", option, ""),
                             f"analyze: {option}: is empty; give it a value, or leave it out")
        for option in ("--delete", "--output", "--set", "--runs", "--list", "--pattern"):
            self.assertEqual(self.refused("train", option, ""),
                             f"train: {option}: is empty; give it a value, or leave it out")
        self.assertIn("--aa: is empty", self.refused("train", "--aa="))
        self.assertIn("an empty word stands first", self.refused("train", ""))

    def test_the_last_run_is_the_newest_one_when_it_has_been_deleted(self):
        last = self.dir / "runs" / "last"
        runs = []
        for seed in range(3):
            self.train(*SMALL, "--seed", seed)
            runs.append(last.resolve().name)
        self.train("--runs", "--delete", runs[0])
        self.assertEqual(last.resolve().name, runs[2])
        said = self.train("--runs", "--delete", runs[2]).stdout
        self.assertIn(f"the last run is {runs[1]} now", said)
        self.assertEqual(last.resolve().name, runs[1])
        self.train("--runs", "--delete", runs[1])
        self.assertFalse(last.is_symlink())
        self.assertIn("no last run", self.refused("analyze", "--run", "last"))
        self.assertIn("train one first", self.refused("analyze"))

    def test_pictures_that_a_network_does_not_take_are_refused_before_any_is_read(self):
        nowhere = ["--data", "cifar10", "--data-dir", self.dir]
        self.assertIn("it takes pictures of 8 to 4096 pixels a side, not 4",
                      self.refused("train", "--model", "resnet50", "--img-size", 4, *nowhere))
        self.assertIn("do not tile a 40x40 image", self.refused(
            "train", "--model", "vit_tiny_patch16", "--img-size", 40, *nowhere))

    def test_a_run_is_analysed_at_another_size_and_by_another_filter(self):
        self.train("--model", "vit", *SMALL[2:], "--img-size", 32)
        analyze = ["--run", "last", "--only", "variance", "--images", 4]
        self.assertIn("resampled (bicubic): pos_embed from 8 x 8 to 12 x 12",
                      self.execute("analyze", *analyze, "--img-size", 48).stderr)
        self.assertIn("pictures: bicubic, crop 0.8",
                      self.execute("analyze", *analyze, "--interpolation", "bicubic", "--crop-pct",
                                   0.8).stderr)
        self.assertIn("a run knows its own classes",
                      self.refused("analyze", *analyze, "--classes", "cat,dog"))

    def test_make_fine_tune_calls_the_recipe_on_a_file_of_our_own(self):
        self.train("--model", "vit", *SMALL[2:], "--img-size", 32)
        weights = self.dir / "runs" / "last" / "last.safetensors"
        wanted = subprocess.run(
            ["make", "--no-print-directory", "-n", "fine-tune", f"FILE={weights}", "MODEL=vit",
             "DATA=shapes", "ARGS="],
            cwd=ROOT, capture_output=True, text=True, check=True).stdout
        call = shlex.split(wanted[wanted.index("/train --recipe"):].replace("\\\n", " "))[1:]
        said = self.train(*call, "--dry-run", "--shapes-train", 16, "--shapes-test", 8)
        self.assertIn('opt = "momentum"', said.stdout)
        self.assertIn("img_size = 224", said.stdout)
        self.assertIn("resampled (bicubic): pos_embed from 8 x 8 to 56 x 56", said.stderr)


if __name__ == "__main__":
    unittest.main()
