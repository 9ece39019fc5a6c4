#!/usr/bin/env python3
"""The timeline that train --profile writes, of one process and of two, and of two on hosts of their
own with little bandwidth between them (skipped where network namespaces are not allowed). Usage:
test_profile.py BUILD_DIR"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from programs import BUILD, execute

TWO_HOSTS = Path(__file__).resolve().parent.parent / "experiments" / "scale" / "two_hosts.sh"
MPI = (BUILD / "passband_openmpi.so").exists() and shutil.which("mpirun.openmpi")
SMALL = ["--model", "resnet", "--data", "shapes", "--shapes-train", 128, "--shapes-test", 20,
         "--threads", 1, "--precision", "f32", "--output", "runs"]
ROUNDING = 0.0021  # microseconds; times are told in thousandths


def spans_of(trace, rank, *categories):
    """As (begin, end, name, args), in their order."""
    return sorted((e["ts"], e["ts"] + e["dur"], e["name"], e.get("args", {}))
                  for e in trace["traceEvents"]
                  if e["ph"] == "X" and e["pid"] == rank and e["cat"] in categories)


def union(spans):
    total, reached = 0, float("-inf")
    for begin, end, *_ in sorted(spans):
        total += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return total


class Profile(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-profile-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def trace(self):
        [path] = self.dir.glob("runs/2*/profile.json")
        return json.loads(path.read_text())

    def inside(self, spans, outer):
        for begin, end, name, _ in spans:
            self.assertTrue(any(b - ROUNDING <= begin and end <= e + ROUNDING
                                for b, e, *_ in outer), name)

    def assert_nested(self, trace):
        """On each track, two spans lie in each other or apart."""
        tracks = {}
        for e in trace["traceEvents"]:
            if e["ph"] == "X":
                self.assertGreaterEqual(e["dur"], 0)
                self.assertGreaterEqual(e["ts"], 0)
                tracks.setdefault((e["pid"], e["tid"]), []).append((e["ts"], -e["dur"], e["name"]))
        for spans in tracks.values():
            open_until = []
            for begin, minus_duration, name in sorted(spans):
                while open_until and open_until[-1] <= begin + ROUNDING:
                    open_until.pop()
                if open_until:
                    self.assertLessEqual(begin - minus_duration, open_until[-1] + ROUNDING, name)
                open_until.append(begin - minus_duration)

    def assert_whole(self, trace, processes, steps):
        self.assert_nested(trace)
        facts = trace["otherData"]
        self.assertEqual(facts["processes"], processes)
        names = {(e["pid"], e["args"]["name"]) for e in trace["traceEvents"]
                 if e["name"] == "thread_name"}
        for rank in range(processes):
            for track in ("step", "forward", "backward", "optimiser", "waiting", "loader",
                          "evaluation"):
                self.assertIn((rank, track), names)
            step = spans_of(trace, rank, "step")
            self.assertEqual([s[2] for s in step], [f"step {3 + i}" for i in range(steps)])
            for kind in ("forward", "backward", "optimiser"):
                spans = spans_of(trace, rank, kind)
                self.assertEqual(len(spans), steps, kind)
                self.inside(spans, step)
            self.inside(spans_of(trace, rank, "gradient"), spans_of(trace, rank, "backward"))
            self.assertEqual(len(spans_of(trace, rank, "evaluation")), 1)
            self.assertGreaterEqual(len(spans_of(trace, rank, "loader")), steps - 1)
            for (_, end, *_), (begin, *_) in zip(spans_of(trace, rank, "forward"),
                                                 spans_of(trace, rank, "backward")):
                self.assertLessEqual(end, begin + ROUNDING)
            self.assert_every_gradient_once_a_step(trace, rank, steps)
            buckets = range(len(facts["buckets"])) if processes > 1 else []
            sums = spans_of(trace, rank, "all-reduce")
            self.assertEqual(sorted(s[3]["bucket"] for s in sums), sorted([*buckets] * steps))
            self.inside(sums, step)
            for begin, end, *_ in step:
                in_step = [s for s in sums if begin <= s[0] <= end]
                self.assertEqual([s[3]["bucket"] for s in in_step], [*buckets])

    def assert_every_gradient_once_a_step(self, trace, rank, steps):
        learns = {p["name"]: p["begin"] for p in trace["otherData"]["parameters"] if p["learns"]}
        counted = {}
        for *_, name, args in spans_of(trace, rank, "gradient"):
            self.assertEqual(learns[name], args["offset"])
            counted[name] = counted.get(name, 0) + 1
        self.assertEqual(counted, {name: steps for name in learns})

    # ---

    def test_one_process(self):
        execute("train", *SMALL, "--batch-size", 16, "--epochs", 1, "--profile", 3, folder=self.dir)
        trace = self.trace()
        self.assert_whole(trace, processes=1, steps=3)
        facts = trace["otherData"]
        self.assertEqual((facts["model"], facts["batch_size"], facts["threads"]), ("resnet", 16, 1))
        # parameters and buckets tile the flat vector
        ends = [0] + [p["begin"] + p["count"] for p in facts["parameters"]]
        for p, end in zip(facts["parameters"], ends):
            self.assertTrue(end <= p["begin"] < end + 16, p)  # some begin on a new cache line
        buckets = facts["buckets"][::-1]
        self.assertEqual(buckets[0]["begin"], 0)
        self.assertEqual([b["begin"] + b["count"] for b in buckets],
                         [b["begin"] for b in buckets[1:]] + [ends[-1]])
        # from the end: the first takes whole parameters until it has a megabyte
        least = 2 ** 20 / 4
        first = facts["buckets"][0]
        inside = [p for p in facts["parameters"] if p["begin"] >= first["begin"]]
        self.assertGreaterEqual(sum(p["count"] for p in inside), least)
        self.assertLess(sum(p["count"] for p in inside[1:]), least)

    def test_what_ends_early_has_the_steps_there_were(self):
        execute("train", *SMALL, "--batch-size", 16, "--steps", 5, "--profile", folder=self.dir)
        trace = self.trace()
        self.assertEqual([s[2] for s in spans_of(trace, 0, "step")], ["step 3", "step 4", "step 5"])

    def test_no_step_no_file(self):
        execute("train", *SMALL, "--batch-size", 16, "--steps", 2, "--profile", folder=self.dir)
        self.assertEqual(list(self.dir.glob("runs/2*/profile.json*")), [])

    def test_what_is_killed_leaves_no_half_of_a_file(self):
        process = subprocess.Popen([BUILD / "train", *map(str, SMALL), "--batch-size", "16",
                                    "--epochs", "900", "--profile", "9000"], cwd=self.dir,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            logs = list(self.dir.glob("runs/2*/metrics.jsonl"))
            if logs and logs[0].read_text().count("\n") > 4:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertEqual(list(self.dir.glob("runs/2*/profile.json*")), [])

    def test_a_wrong_number_of_steps(self):
        for text in ("0", "many", "-3", "10001"):
            result = execute("train", *SMALL, f"--profile={text}", folder=self.dir, code=2)
            self.assertEqual(result.stderr.strip(), f'train: --profile: "{text}" is not a number '
                                                    "of steps from 1 to 10000")
        self.assertFalse((self.dir / "runs").exists())

    @unittest.skipUnless(MPI, "no Open MPI")
    def test_two_processes(self):
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        execute("train", "--processes", 2, *SMALL, "--batch-size", 8, "--epochs", 1, "--profile", 4,
                folder=self.dir)
        trace = self.trace()
        self.assert_whole(trace, processes=2, steps=4)
        # the clocks agree: no sum is there before both have begun it
        for a, b in zip(spans_of(trace, 0, "all-reduce"), spans_of(trace, 1, "all-reduce")):
            self.assertLess(max(a[0], b[0]), min(a[1], b[1]) + 1000)

    @unittest.skipUnless(MPI, "no Open MPI")
    def test_sums_are_under_way_while_the_backward_pass_goes_on(self):
        # 2.7 MB a step and direction take 0.1 s at this rate
        command = [TWO_HOSTS, "200mbit", BUILD / "train", *map(str, SMALL), "--batch-size", "16",
                   "--steps", "6", "--profile", "4"]
        result = subprocess.run(command, cwd=self.dir, capture_output=True, text=True, timeout=240)
        if result.returncode == 77:
            self.skipTest(result.stderr)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        trace = self.trace()
        self.assert_whole(trace, processes=2, steps=4)
        for rank in range(2):
            sums = spans_of(trace, rank, "all-reduce")
            backward = spans_of(trace, rank, "backward")
            for (begin, end, *_), first in zip(backward, sums[::2]):
                self.assertEqual(first[3]["bucket"], 0)
                self.assertTrue(begin < first[0] < end)
            # 1.41 MB at 25 MB/s take 56 ms, less what the link lends
            for begin, end, *_ in sums[::2]:
                self.assertGreater(end - begin, 40e3)
            hidden = union(sums) - union(s for s in spans_of(trace, rank, "waiting")
                                         if "bucket" in s[3])
            self.assertGreater(hidden, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
