#!/usr/bin/env python3
"""Runs that begin from weights, as a user meets them: what they remember, repeat and resume, and
what their first lines say. Usage: test_beginning.py BUILD_DIR"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

SHAPES = ["--data", "shapes", "--shapes-train", 12, "--shapes-test", 4, "--batch-size", 4,
          "--threads", 1]
SMALL = ["--model", "C.C:width=8", *SHAPES, "--epochs", 2]


class Beginning(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-beginning-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        (self.dir / "runs").mkdir()

    def train(self, *args, code=0, program="train"):
        """The run and what it said."""
        done = subprocess.run([BUILD / program, *map(str, args)], cwd=self.dir, timeout=240,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}\n{done.stderr}")
        last = self.dir / "runs" / "last"
        return last.resolve(), done.stderr if code == 0 else done.stderr.splitlines()[-1]

    def began_from(self, run):
        return tomllib.loads((run / "config.toml").read_text())["model"]["began_from"]

    def weights(self, run):
        return (run / "last.safetensors").read_bytes()

    def test_a_repetition_from_another_file_of_weights_is_told_so(self):
        file = self.dir / "w.safetensors"
        shutil.copy(self.train(*SMALL)[0] / "last.safetensors", file)
        run, said = self.train(*SMALL, "--weights", file, "--layer-decay", 0.5, "--lr", 0.1)
        self.assertIn("layer decay: 4 layers; the first learns at 0.0125, the classifier at 0.1",
                      said)
        began = self.began_from(run)
        self.assertEqual(began["file"], "w.safetensors")
        again, said = self.train("--recipe", run)
        self.assertNotIn("not a repetition", said)
        self.assertEqual(self.weights(run), self.weights(again))
        self.assertEqual(self.began_from(again), began)
        shutil.copy(again / "last.safetensors", file)
        self.assertRegex(self.train("--recipe", run)[1],
                         rf"not a repetition of .*: it began from w.safetensors \(XXH64 "
                         rf"{began['xxh64']}\), this from w.safetensors \(XXH64 [0-9a-f]{{16}}\)")

    def test_a_resumed_run_keeps_the_rates_of_its_layers(self):
        whole, _ = self.train(*SMALL, "--layer-decay", 0.5)
        part, _ = self.train(*SMALL, "--layer-decay", 0.5, "--steps", 4)
        self.train("--resume", part)
        self.assertEqual(self.weights(whole), self.weights(part))
        self.assertIn("layer_decay belongs to the run",
                      self.train("--resume", part, "--layer-decay", 0.75, code=2)[1])

    def test_a_network_keeps_its_stem_in_its_run_and_in_its_file(self):
        stem = ["--model", "CC.C:width=8", "--stem", "imagenet", "--steps", 1]
        run, said = self.train(*SHAPES, *stem)
        self.assertIn("stem: ImageNet's", said)
        shown = ["--only", "confusion", "--images", 4]
        self.train("--run", "last", *shown, program="analyze")
        file = self.dir / "w.safetensors"
        shutil.copy(run / "last.safetensors", file)
        self.train("--weights", file, "--model", "CC.C:width=8", "--data", "shapes", *shown,
                   program="analyze")
        self.assertIn("keep it by ./train --stem imagenet",
                      self.train(*SHAPES, *stem[:2], "--weights", file, code=3)[1])
        self.assertIn("has one stem alone",
                      self.train(*SHAPES, "--model", "vit", "--stem", "cifar", code=2)[1])

    def test_last_weights_that_stand_for_the_best_are_told_of(self):
        run, _ = self.train(*SMALL)
        (run / "best.safetensors").unlink()
        self.assertIn("has no best.safetensors, as before its first evaluation; its last weights",
                      self.train(*SMALL, "--pretrained-from", run)[1])


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
