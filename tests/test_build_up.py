#!/usr/bin/env python3
"""The build-up of hybrid networks, without training. Usage: test_build_up.py"""

import importlib.machinery
import importlib.util
import json
import math
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "experiments" / "build-up"
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("build_up", str(PROGRAM))
build_up = importlib.util.module_from_spec(importlib.util.spec_from_loader("build_up", loader))
loader.exec_module(build_up)

# CIFAR-100 accuracies of the build-up of Alter-ResNet-50, as published with the paper of Park and
# Kim.
PUBLISHED = {
    "CCC.CCCC.CCCCCC.CCCC": 0.8248, "CCC.CCCC.CCCCCC.CCCM": 0.8345, "CCC.CCCC.CCCCCC.CMCM": 0.8366,
    "CCC.CCCC.CCCCCM.CMCM": 0.8377, "CCC.CCCC.CCCMCM.CMCM": 0.8352, "CCC.CCCM.CCCCCM.CMCM": 0.8402,
    "CCC.CMCM.CCCCCM.CMCM": 0.8339, "CCM.CCCM.CCCCCM.CMCM": 0.8380,
}


class BuildUp(unittest.TestCase):
    def run_program(self, *args, code=0):
        result = subprocess.run([sys.executable, "-B", PROGRAM, *map(str, args)], text=True,
                                capture_output=True)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def published(self, tried, margin=0.0, seeds=1):
        def score_of(pattern):
            tried.append(pattern)
            return build_up.Score(
                [PUBLISHED.get(pattern, 0.5) + 0.001 * seed for seed in range(seeds)])
        return build_up.build_up("CCC.CCCC.CCCCCC.CCCC", "M", score_of, margin)

    def test_the_published_accuracies_lead_to_the_published_network_through_the_published_branches(
            self):
        tried = []
        tree, best = self.published(tried)
        self.assertEqual(best.pattern, "CCC.CCCM.CCCCCM.CMCM")
        self.assertEqual(tried, list(PUBLISHED))
        self.assertEqual(tree.score.mean, 0.8248)

    def test_a_margin_of_standard_errors_puts_small_gains_back(self):
        tried = []
        # Gains have a standard error of 0.0008: 0.0097 is far above it, 0.0021 is not three times
        # it.
        _, best = self.published(tried, margin=3, seeds=3)
        self.assertTrue(best.pattern.endswith(".CCCM"))

    def test_the_error_bar_is_the_standard_error_of_the_mean(self):
        score = build_up.Score([0.80, 0.82, 0.84])
        self.assertAlmostEqual(score.mean, 0.82)
        self.assertAlmostEqual(score.error, 0.02 / math.sqrt(3))
        self.assertEqual(str(score), "82.00 ± 1.15 %")
        self.assertEqual(str(build_up.Score([0.5])), "50.00 %")

    def test_the_first_block_of_a_stage_stays_a_convolution(self):
        self.assertEqual(build_up.candidates("C.CC.CCC.CCCC", 0), [])
        self.assertEqual(build_up.candidates("C.CC.CCC.CCCC", 2), [2])
        self.assertEqual(build_up.candidates("C.CC.CCC.CCCC", 3), [3, 1])

    def test_from_the_start_the_order_is_turned_around(self):
        self.assertEqual(build_up.candidates("C.CC.CCC.CCCC", 3, early=True), [1, 3])
        out = self.run_program("--start", "CC.CCC", "--mixer", "P", "--from", "start",
                               "--dry-run").stdout
        self.assertEqual([line.split()[-1] for line in out.splitlines()[1:]],
                         ["CC.CCC", "CP.CCC", "CP.CPC"])

    def test_every_mixer_of_the_pattern_language_can_be_tried(self):
        source = (PROGRAM.parent.parent / "models" / "pattern.cpp").read_text()
        known = set(re.findall(r"\{'(.)', BlockKind::", source))
        self.assertEqual(known, {"C", *build_up.MIXERS})

    def test_the_tree_is_printed_with_gains_and_verdicts(self):
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "accuracies.json"
            table.write_text(
                json.dumps({pattern: [a - 0.001, a + 0.001]
                            for pattern, a in PUBLISHED.items()}))
            out = self.run_program("--start", "CCC.CCCC.CCCCCC.CCCC", "--accuracies", table).stdout
        self.assertIn("└─ CCC.CCCC.CCCCCC.CCCM  83.45 ± 0.10 %  +0.97 ± 0.14  stage 4, kept", out)
        self.assertIn("├─ CCC.CCCC.CCCMCM.CMCM  83.52 ± 0.10 %  -0.25 ± 0.14  stage 3, put back",
                      out)
        self.assertTrue(out.endswith("best: CCC.CCCM.CCCCCM.CMCM  84.02 ± 0.10 %\n"), out)

    def test_a_dry_run_lists_what_would_be_tried(self):
        lines = self.run_program("--start", "C.CC.CC", "--letter", "L", "--dry-run").stdout.split()
        self.assertEqual([line for line in lines if set(line) <= set("CL.")],
                         ["C.CC.CC", "C.CC.CL", "C.CL.CL"])

    def test_mistakes_are_one_line(self):
        for arguments in (["--start", "CM.CC"], ["--start", "C-C"], ["--seeds", "0"],
                          ["--accuracies", "/nonexistent.json"]):
            text = self.run_program(*arguments, code=2).stderr.strip()
            self.assertEqual(len(text.splitlines()), 1, text)

    def test_finished_trainings_are_not_repeated(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "train"
            program.write_text("#!/bin/sh\necho x >> calls\necho '{\"top1\": 0.5}'\n".replace(
                "calls", str(Path(folder) / "calls")))
            program.chmod(0o755)
            arguments = [
                "--start", "C.CC", "--seeds", 2, "--build", folder, "--output",
                Path(folder) / "out"
            ]
            for _ in range(2):
                self.assertIn("best: C.CC  50.00", self.run_program(*arguments).stdout)
            # Two patterns, two seeds.
            self.assertEqual(len((Path(folder) / "calls").read_text().split()), 4)


if __name__ == "__main__":
    unittest.main()
