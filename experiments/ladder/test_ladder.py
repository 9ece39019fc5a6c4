#!/usr/bin/env python3
"""The table of the ladder: every step is in it and computes what it should, and what is counted is
what the sizes say. Usage: test_ladder.py BUILD_DIR"""

import re
import subprocess
import sys
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LINES = 80
COLUMNS = ("asked", "moved", "shared", "conflicts", "barriers", "instr", "kop", "error")


def table():
    """{operation: {step: {column: number}}}"""
    result = subprocess.run([Path(sys.argv[1]) / "ladder"], text=True, capture_output=True,
                            check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    written = (FOLDER / "README.md").read_text(encoding="utf-8")
    for line in result.stdout.splitlines():
        counts = re.sub(r" +[\d.e+-]+$", "", line)  # the error may differ from machine to machine
        assert counts in written, f"README.md does not say:\n{line}"
    found, steps = {}, {}
    for line in result.stdout.splitlines():
        if title := re.match(r"(\w+): .*\d", line):
            steps = found.setdefault(title[1], {})
        elif row := re.match(r"(\d) (.+?)  .*?((?: +[\d.e+-]+){8})$", line):
            numbers = map(float, row[3].split())
            steps[row[2].strip()] = dict(zip(COLUMNS, numbers), number=int(row[1]))
    return found


class Ladder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = table()

    def test_every_file_is_a_step_of_at_most_80_lines(self):
        for operation, steps in self.table.items():
            files = sorted((FOLDER / operation).glob("*.cu"))
            self.assertIn(len(files), (5, 6, 7), operation)
            named = [f"{step['number']}_{name.replace(' ', '_')}" for name, step in steps.items()]
            self.assertEqual(named, [file.stem for file in files])
            for file in files:
                self.assertLessEqual(len(file.read_text().splitlines()), LINES, file)
        folders = {file.parent.name for file in FOLDER.glob("*/*.cu")}
        self.assertEqual(set(self.table), folders)

    def test_softmax_reads_what_its_passes_say(self):
        steps, row = self.table["softmax"], 32 * 1024 * 4 / 1024  # KiB of all rows, once
        for name, passes in (("naive", 3), ("coalesced", 3), ("sequential", 3), ("shuffles", 3),
                             ("online", 2), ("registers", 1)):
            self.assertEqual(steps[name]["asked"], row * (passes + 1), name)
        # A thread a row: 32 sectors for 32 words.
        self.assertEqual(steps["naive"]["moved"], 8 * steps["naive"]["asked"])
        for name in list(steps)[1:]:
            self.assertEqual(steps[name]["moved"], steps[name]["asked"], name)

    def test_softmax_joins_as_it_says(self):
        steps, rows = self.table["softmax"], 32
        self.assertEqual([steps[name]["barriers"] / rows for name in steps],
                         [0, 2 * 10, 2 * 10, 2 * 2, 1, 0])
        # Two joins a row, of three accesses at each distance d by 128 / d threads, 2 d words apart.
        conflicts = 0
        for distance in (1, 2, 4, 8, 16, 32, 64, 128):
            threads, warps = min(128 // distance, 32), max(128 // distance // 32, 1)
            conflicts += 3 * warps * (max(2 * distance * threads // 32, 1) - 1
                                      if 2 * distance <= 32 else threads - 1)
        self.assertEqual(steps["coalesced"]["conflicts"], 2 * rows * conflicts)
        for name in ("naive", "sequential", "shuffles", "registers"):
            self.assertEqual(steps[name]["conflicts"], 0, name)

    def test_matmul_moves_what_its_tiles_say(self):
        steps, m, n, k = self.table["matmul"], 128, 128, 64
        result = m * n * 4 / 1024
        for name, tile, size in (("naive", 1, 4), ("coalesced", 1, 4), ("tiles", 32, 4),
                                 ("registers", 64, 4), ("packs", 64, 4), ("pipeline", 64, 4),
                                 ("tensor cores", 64, 2)):
            want = 2 * m * n * k * size / tile / 1024 + result
            self.assertEqual(steps[name]["asked"], want, name)
        # A lane of naive has a row: a sector for each element of a and c, one for 32 of b.
        sectors = m * n * k / 32 * (32 + 1) + m * n
        self.assertEqual(steps["naive"]["moved"], sectors * 32 / 1024)
        self.assertEqual(steps["coalesced"]["moved"],
                         (m * n * k / 32 * (1 + 4) + m * n / 8) * 32 / 1024)
        for name in ("tiles", "packs", "pipeline", "tensor cores"):
            self.assertEqual(steps[name]["moved"], steps[name]["asked"], name)
        # Columns 4 apart are written one at a time: every sector of c four times.
        self.assertEqual(steps["registers"]["moved"],
                         steps["registers"]["asked"] - result + 4 * result)

    def test_matmul_shares_as_it_says(self):
        steps, m, n, k = self.table["matmul"], 128, 128, 64
        blocks = m * n / 64**2
        self.assertEqual(steps["tiles"]["barriers"], m * n / 32**2 * k / 32 * 2)
        self.assertEqual(steps["registers"]["barriers"], blocks * k / 16 * 2)
        self.assertEqual(steps["packs"]["barriers"], blocks * k / 16 * 2)
        self.assertEqual(steps["pipeline"]["barriers"], blocks * k / 16)
        # tile_a: two rows of a warp, 4 x 16 words apart, in one bank; tile_b: 16 threads 4 words
        # apart, two to a bank. 256 / 32 warps, 4 readings of either for each p.
        self.assertEqual(steps["registers"]["conflicts"], blocks * k * 8 * (4 + 4))
        # What the padding leaves: two of 16 threads that write a column meet.
        self.assertEqual(steps["packs"]["conflicts"], blocks * k / 16 * (64 * 16 / 32))
        self.assertEqual(steps["pipeline"]["conflicts"], steps["packs"]["conflicts"])
        # Eight lanes that bring 16 bytes each write two rows of 64 bytes, which lie 80 apart.
        self.assertEqual(steps["tensor cores"]["conflicts"], blocks * k / 32 * 64 * 32 / 8 / 8)
        self.assertEqual(steps["tensor cores"]["barriers"], blocks * k / 32 * 2)

    def test_convolution_moves_what_its_tiles_say(self):
        steps, side, channels, out = self.table["convolution"], 16, 16, 32
        # Of 3 x 3 taps at each of side^2 places, those inside the picture.
        taps = (3 * side - 2)**2
        reads = taps * channels * out / 32  # a sector of x each, 32 or 4 of w
        result, weights = side * side * out * 4, 9 * channels * out * 4
        self.assertEqual(steps["naive"]["asked"],
                         round((taps * channels * out * 8 + result) / 1024))
        self.assertEqual(steps["naive"]["moved"], round((reads * 33 * 32 + result) / 1024))
        turning = 2 * weights + 7 * weights  # read a word a sector, written whole
        self.assertEqual(steps["turned"]["moved"],
                         round((reads * 5 * 32 + result + turning) / 1024))
        windows, tiles, once = 9 * channels * side * side * 4, side * side / 32, taps * channels
        self.assertEqual(steps["im2col"]["asked"],
                         round((once * 4 + 2 * windows + tiles * weights + result) / 1024))
        self.assertEqual(steps["implicit"]["asked"],
                         round((once * 4 + tiles * weights + result) / 1024))
        self.assertEqual(steps["registers"]["asked"],
                         round((once * 4 + tiles / 2 * weights + result) / 1024))
        self.assertEqual(
            steps["tensor cores"]["asked"],
            round((once * 2 + tiles / 2 * weights / 2 + result) / 1024))

    def test_attention_moves_what_its_tiles_say(self):
        steps, heads, tokens, depth = self.table["attention"], 2, 128, 32
        scores, one = heads * tokens**2 * 4, heads * tokens * depth * 4
        naive = 2 * scores * depth + scores + 4 * scores + 2 * scores * depth + one
        self.assertEqual(steps["naive"]["asked"], naive / 1024)
        self.assertEqual(steps["tiles"]["asked"], (2 * one + 2 * one * tokens / 8) / 1024)
        self.assertEqual(steps["tensor cores"]["asked"],
                         (one / 2 + one * tokens / 16 + one) / 1024)
        # A block and tile: 8 warps read 32 words of 32 keys each, all in one bank or none.
        blocks, tiles = heads * tokens / 8, tokens / 32
        self.assertEqual(steps["tiles"]["conflicts"], blocks * tiles * 8 * 32 * 31)
        self.assertEqual(steps["padding"]["conflicts"], 0)
        self.assertEqual(steps["padding"]["asked"], steps["tiles"]["asked"])
        self.assertEqual(steps["tiles"]["barriers"], blocks * tiles * 2)
        self.assertEqual(steps["tensor cores"]["barriers"], 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
