#!/usr/bin/env python3
"""Sections that another program has stored in a report. Usage: test_stored_sections.py BUILD_DIR"""

import hashlib
import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

from programs import execute

ROOT = Path(__file__).resolve().parent.parent


def digest_of_sources():
    """As analysis/study/source_digest.h says, of the sources beside this test."""
    lines = []
    for file in ROOT.glob("analysis/**/*.[ch]*"):
        name = file.relative_to(ROOT).as_posix()
        if not re.match(r"analysis/(explore/|report/page|[a-z_]+\.)", name):
            lines.append(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()[:16]


class StoredSections(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-sections-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        said = execute("train", "--model", "C.CM:width=8,head_dim=8", "--data", "shapes",
                       "--shapes-train", 64, "--shapes-test", 40, "--batch-size", 32, "--steps", 1,
                       "--json", "--output", self.dir, folder=self.dir).stdout
        self.run_dir = Path(json.loads(said)["run"])

    def told(self, *args):
        return execute("analyze", "--run", self.run_dir, "--images", 20, *args,
                       folder=self.dir).stderr

    def test_what_a_program_of_other_sources_made_is_made_anew(self):
        both = ["--only", "calibration,variance"]
        self.told(*both)
        self.assertEqual(self.told(*both).count("kept from before"), 2)
        stored = self.run_dir / "report" / "sections" / "variance.json"
        text, digest = stored.read_text(), digest_of_sources()
        self.assertIn(f" by {digest} ", json.loads(text)["key"])
        stored.write_text(text.replace(digest, "0" * 16))
        self.assertIn("another build of this program made, until a call asks for them: variance\n",
                      self.told("--only", "calibration"))
        self.assertEqual(self.told(*both).count("kept from before"), 1)
        self.assertEqual(self.told(*both).count("kept from before"), 2)


if __name__ == "__main__":
    unittest.main()
