#!/usr/bin/env python3
"""Tar shards as a user meets them: packed from a folder, read by Python's tarfile, trained on alone
and by several processes, gone on with, stopped and refused. Usage: test_shards.py BUILD_DIR"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path

from png_file import png

BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else Path("build").resolve()
TRAIN = ["--model", "C.CM:width=8", "--img-size", 16, "--threads", 1, "--precision", "f32",
         "--opt", "sgd", "--lr", 0.01]


class Shards(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-shards-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        (self.dir / "runs").mkdir()
        for split, count in (("train", 12), ("val", 4)):
            for kind in ("cat", "dog"):
                folder = self.dir / "f" / split / kind
                folder.mkdir(parents=True)
                for i in range(count):
                    (folder / f"{i:02}.png").write_bytes(png(20, f"{split}{kind}{i}"))

    def start(self, *args):
        return subprocess.Popen([str(a) for a in (BUILD / "train", *args)], cwd=self.dir,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def train(self, *args, code=0):
        process = self.start(*args)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, out + err)
        return out if code == 0 else err

    def losses(self):
        run = (self.dir / "runs" / "last").resolve()
        return [(l["step"], l["split"], l["loss"])
                for l in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())]

    def test_a_packed_folder_gives_the_losses_of_the_folder_and_either_goes_on(self):
        out = self.train("--pack", "f", "shards/")
        self.assertIn("train-{000000..000003}.tar (24 pictures), val-000000.tar (8 pictures)", out)
        self.assertIn("./train --data 'shards/train-{000000..000003}.tar'", out)
        names = sorted(path.name for path in (self.dir / "shards").iterdir())
        self.assertEqual(names, ["classes.txt"] + [f"train-{i:06}.tar" for i in range(4)]
                         + ["val-000000.tar"])
        packed = {}
        for i in range(4):
            with tarfile.open(self.dir / "shards" / f"train-{i:06}.tar") as tar:
                for member in tar:
                    packed[member.name] = tar.extractfile(member).read()
        self.assertEqual(len(packed), 48)
        for i in range(24):
            source = self.dir / "f/train" / ("cat", "dog")[i // 12] / f"{i % 12:02}.png"
            self.assertEqual(packed[f"{i:09}.png"], source.read_bytes())
            self.assertEqual(packed[f"{i:09}.cls"], str(i // 12).encode())
        shards = "shards/train-{000000..000003}.tar"
        self.train(*TRAIN, "--data", "f", "--batch-size", 5, "--steps", 9)
        whole = self.losses()
        self.train(*TRAIN, "--data", shards, "--batch-size", 5, "--steps", 9)
        self.assertEqual(self.losses(), whole)
        # in the middle of the second epoch, from a run on the folder
        self.train(*TRAIN, "--data", "f", "--batch-size", 5, "--steps", 7)
        self.train("--resume", "last", "--data", shards, "--steps", 9)
        again = [l for l in self.losses() if l[0] <= 7 and l[1] == "train" or l[0] == 9]
        self.assertEqual(again[-1], whole[-1])

    def test_shards_read_in_order_give_a_run_that_goes_on_within_an_epoch(self):
        self.train("--pack", "f", "shards", "--pack-shuffle")
        new = [*TRAIN, "--data", "shards", "--batch-size", 4, "--epochs", 3, "--shuffle-buffer"]
        self.train(*new, 7)
        whole = self.losses()
        self.train(*new, 0)
        self.assertNotEqual(self.losses(), whole)
        self.train(*new, 7, "--steps", 8)
        self.train("--resume", "last", "--steps", 0)
        of_steps = {row[0]: row for row in whole if row[1] == "train"}
        rows = [row for row in self.losses() if row[1] == "train" and row[0] > 8]
        self.assertEqual(rows, [of_steps[step] for step in range(9, 19)])
        self.assertIn("belongs to the run",
                      self.train("--resume", "last", "--shuffle-buffer", 8, code=2))
        self.assertIn("no tar shards", self.train(*TRAIN, "--data", "f", "--shuffle-buffer", 7,
                                                  code=2))

    def test_a_run_names_its_shards_for_whoever_analyses_it(self):
        self.train("--pack", "f", "shards")
        self.train(*TRAIN, "--data", "shards", "--batch-size", 8, "--steps", 2)
        for more in ([], ["--data-dir", "moved"]):
            if more:
                (self.dir / "shards").rename(self.dir / "moved")
            result = subprocess.run([str(BUILD / "analyze"), "--run", "last", "--only", "confusion",
                                     *more], cwd=self.dir, capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("not there any more", self.train("--resume", "last", "--steps", 4, code=3))

    def test_shards_of_others_are_read(self):
        (self.dir / "wds").mkdir()
        for name, first, count in (("set-train-00.tar", 0, 10), ("set-train-01.tar", 10, 10),
                                   ("set-validation-00.tar", 20, 4)):
            with tarfile.open(self.dir / "wds" / name, "w", format=tarfile.PAX_FORMAT) as tar:
                for i in range(first, first + count):
                    for end, data in (("png", png(20, i)),
                                      ("json", json.dumps({"label": i % 3}).encode())):
                        info = tarfile.TarInfo(f"n{i % 3}/{'long' * 40}_{i}.{end}")
                        info.size, info.mtime = len(data), 1.25
                        tar.addfile(info, io.BytesIO(data))
        out = self.train(*TRAIN, "--data", "wds/set-train-*.tar", "--steps", 2, "--batch-size", 8,
                         "--json")
        self.assertEqual(json.loads(out.splitlines()[-1])["test_pictures"], 4)

    def test_ctrl_c_while_packing_leaves_nothing(self):
        for i in range(2000):
            os.link(self.dir / "f/train/cat/00.png", self.dir / "f/train/cat" / f"more{i}.png")
        before = sorted(self.dir.iterdir())
        process = self.start("--pack", "f", "shards")
        staging = self.dir / ".shards.packing"
        until = time.monotonic() + 60
        while not staging.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        if process.returncode == 0:  # it was faster
            self.assertTrue((self.dir / "shards/val-000000.tar").exists())
            return
        self.assertEqual(process.returncode, 130, out + err)
        self.assertIn("nothing was written", out)
        self.assertEqual(sorted(self.dir.iterdir()), before)

    def test_what_cannot_be_is_one_line(self):
        for args, code, words in (
                (["--pack", "f", "f/s"], 2, "name a place outside"),
                (["--pack", "nowhere", "s"], 3, "nowhere"),
                (["--pack", "f", "runs/x", "--lr", "1"], 2, "trains nothing, lr is of no use"),
                (["--pack-shuffle"], 2, "go with --pack"),
                (["--data", "s-{0..3}.tar", "--steps", 1], 3, "s-0.tar: no such shard"),
                (["--data", "s-{0..}.tar", "--steps", 1], 2, "is no range")):
            err = self.train(*args, code=code)
            self.assertIn(words, err)
            self.assertEqual(err.strip().count("\n"), 0, err)


if __name__ == "__main__":
    unittest.main()
