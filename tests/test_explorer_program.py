#!/usr/bin/env python3
"""`analyze --explore` as a user meets it. Usage: test_explorer_program.py BUILD_DIR"""

import base64
import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

from programs import execute

MODEL = "C.CM:width=8,head_dim=8"
SHAPES = ["--data", "shapes", "--shapes-train", 64, "--shapes-test", 40]


class Explore(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = Path(tempfile.mkdtemp(prefix="passband-explore-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        said = execute("train", "--model", MODEL, *SHAPES, "--batch-size", 32, "--epochs", 2,
                       "--warmup-epochs", 0, "--checkpoint-interval", 1, "--json", "--output",
                       cls.dir, folder=cls.dir).stdout
        cls.run_dir = Path(json.loads(said)["run"])
        cls.page = cls.run_dir / "report" / "explore.html"

    def setUp(self):
        shutil.rmtree(self.run_dir / "report", ignore_errors=True)

    def explore(self, *args, code=0):
        return execute("analyze", *args, "--explore", folder=self.dir, code=code)

    def refused(self, *args):
        lines = self.explore(*args, code=2).stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertFalse(self.page.exists())
        return lines[0]

    def data(self):
        block = re.search(r'id="explore-data">(.*?)</script>', self.page.read_text(), re.S)
        return json.loads(block.group(1))

    def test_it_is_one_page_that_loads_nothing(self):
        said = self.explore("--run", self.run_dir, "--images", 20).stdout
        self.assertEqual(said.strip(), f"explorer: {self.page.resolve()}")
        text = self.page.read_text()
        self.assertFalse(re.search(r"<(link|iframe|object)|<(script|img)[^>]* src=", text))
        self.assertIn("default-src 'none'", text)
        self.assertIn("There is none yet", text)
        self.assertLess(len(text), 1_000_000)
        self.assertFalse((self.run_dir / "report" / "index.html").exists())
        effects = self.data()["networks"][0]["effects"]
        self.assertEqual({effect["kind"] for effect in effects},
                         {"branch", "head", "channel", "uniform", "mean_kernel", "low_pass",
                          "high_pass", "noise"})
        self.assertEqual({effect["pictures"] for effect in effects}, {20})

    def test_without_script_it_says_what_the_report_has(self):
        execute("analyze", "--run", self.run_dir, "--only", "variance", "--images", 10,
                folder=self.dir)
        self.explore("--run", self.run_dir, "--images", 4)
        told = re.search(r"<noscript>(.*?)</noscript>", self.page.read_text(), re.S).group(1)
        self.assertIn('It has <a href="index.html#variance">variance</a>.', told)
        shown = re.findall(r'<figure><img src="data:image/svg\+xml;base64,([^"]+)" alt="[^"]', told)
        drawn = (self.run_dir / "report" / "figures").glob("*.svg")
        self.assertEqual(sorted(base64.b64decode(picture) for picture in shown),
                         sorted(file.read_bytes() for file in drawn))
        self.assertGreater(len(shown), 0)

    def test_other_weights_of_a_network_share_its_graph(self):
        self.explore("--run", self.run_dir, "--images", 10, "--untrained", "--along")
        data = self.data()
        self.assertEqual([network["label"] for network in data["networks"]],
                         [MODEL, f"{MODEL}, untrained", *(f"{MODEL}, epoch {i}" for i in range(3))])
        self.assertEqual(len(data["graphs"]), 1)

    def test_it_refuses_what_it_cannot_in_one_line(self):
        self.assertIn("leave out --only", self.refused("--run", self.run_dir, "--only", "cka"))
        last = self.run_dir / "last.safetensors"
        self.assertIn("--along needs a run", self.refused(
            "--model", MODEL, "--weights", last, "--data", "shapes", "--along"))


if __name__ == "__main__":
    unittest.main()
