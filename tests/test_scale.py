#!/usr/bin/env python3
"""The simulation of many ranks beside closed forms, and the measurement of sums. Usage:
test_scale.py BUILD_DIR"""

import json
import math
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from programs import BUILD, execute

FORWARD, BACKWARD, OPTIMISER = 0.03, 0.06, 0.01
# In the order of the flat vector; the last one's gradient is whole first. Elements in 2^18 (1 MiB).
COUNTS = [6, 3, 2, 1]
READY = [0.055, 0.04, 0.02, 0.01]


def profile(processes=1, backward=BACKWARD, forward=FORWARD, optimiser=OPTIMISER, ready=READY):
    """As train --profile writes one, of two equal steps."""
    events, parameters, offset = [], [], 0
    for i, count in enumerate(COUNTS):
        parameters.append({"name": f"p{i}", "begin": offset, "count": count * 2 ** 18,
                           "learns": True})
        offset += count * 2 ** 18

    def add(category, begin, seconds, **args):
        events.append({"name": category, "cat": category, "ph": "X", "pid": 0, "tid": 0,
                       "ts": begin * 1e6, "dur": seconds * 1e6, "args": args})

    whole = forward + backward + optimiser
    for step in range(2):
        begin = 10 * step
        add("step", begin, whole, step=step)
        add("forward", begin, forward)
        add("backward", begin + forward, backward)
        at = 0
        for i in reversed(range(len(COUNTS))):
            end = ready[i] / BACKWARD * backward
            add("gradient", begin + forward + at, end - at, offset=parameters[i]["begin"])
            at = end
        add("optimiser", begin + forward + backward, optimiser)
    return {"traceEvents": events,
            "otherData": {"version": "0", "model": "net", "device": "d", "processes": processes,
                          "batch_size": 8, "threads": 1, "parameters": parameters, "buckets": []}}


def ring(n, p, latency, bandwidth):
    return 2 * (p - 1) * (latency + n / p / bandwidth)


def tree(n, p, latency, bandwidth):  # of a power of two
    return 2 * math.log2(p) * latency + 2 * (p - 1) / p * n / bandwidth


class Simulation(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-scale-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def simulate(self, *args, trace=None):
        (self.dir / "profile.json").write_text(json.dumps(trace or profile()))
        result = execute("scale", "simulate", "profile.json", "--json", *args, folder=self.dir)
        return json.loads(result.stdout)

    def step(self, *args, **more):
        [row] = self.simulate(*args, **more)["ranks"]
        return row

    def near(self, a, b, share=1e-6):
        self.assertLess(abs(a - b), share * max(abs(a), abs(b)), f"{a} {b}")

    ONE_BUCKET = ("--first-bucket-mb", 1000)
    SLOW = ("--latency-us", 50, "--gbyte-per-s", 1)

    def test_what_is_computed_is_the_profile_s(self):
        result = self.simulate("--ranks", 1)
        for key, seconds in (("forward", FORWARD), ("backward", BACKWARD),
                             ("optimiser", OPTIMISER)):
            self.near(result[f"{key}_seconds"], seconds, 1e-4)
        self.near(result["ranks"][0]["step_seconds"], 0.1, 1e-4)
        self.near(result["ranks"][0]["efficiency"], 1)
        # 1 MB, then whole parameters until there are 4 MB: 1, 2 + 3 and 6
        result = self.simulate("--ranks", 1, "--bucket-mb", 4)
        self.assertEqual(result["bytes"], [2 ** 20, 5 * 2 ** 20, 6 * 2 ** 20])
        for a, b in zip(result["ready_seconds"], (0.01, 0.04, 0.055)):
            self.near(a, b, 1e-4)
        self.assertEqual(self.simulate("--gradient-bytes", 2)["bytes"], [2 ** 19, 11 * 2 ** 19])

    def test_what_disturbs_a_step_is_left_out(self):
        trace = profile()
        for e in trace["traceEvents"]:  # a pause in one gradient of the first step, one in the next
            if e["ts"] < 5e6 and e["name"] == "gradient" and e["args"]["offset"] == 0:
                e["dur"] += 7000
            if e["name"] == "backward" or e["name"] == "optimiser":
                e["dur"] += 7000 if e["ts"] < 5e6 else 0
        for take, late in (("median", 0.007), ("least", 0)):
            result = self.simulate("--ranks", 1, "--take", take, trace=trace)
            self.near(result["backward_seconds"], BACKWARD + late, 1e-4)
            self.near(result["ready_seconds"][-1], 0.055 + late, 1e-4)
            self.near(result["optimiser_seconds"], OPTIMISER + late, 1e-4)

    def test_one_bucket_after_everything(self):
        # the pass goes on for 5 ms after the last gradient
        for p in (2, 3, 8, 512):
            row = self.step("--ranks", p, *self.ONE_BUCKET, *self.SLOW)
            cost = ring(12 * 2 ** 20, p, 50e-6, 1e9)
            self.near(row["exchange_seconds"], cost)
            self.near(row["exposed_seconds"], cost - 0.005, 1e-4)
            self.near(row["step_seconds"], 0.1 + cost - 0.005, 1e-4)
            self.near(row["efficiency"], 0.1 / (0.1 + cost - 0.005), 1e-4)
            self.assertLess(row["deviation"], 1e-6)

    def test_a_tree_and_hosts(self):
        n = 12 * 2 ** 20
        for p in (2, 8, 512):
            row = self.step("--ranks", p, *self.ONE_BUCKET, *self.SLOW, "--algorithm", "tree")
            self.near(row["exchange_seconds"], tree(n, p, 50e-6, 1e9))
        for p in (2, 6, 8, 512):
            row = self.step("--ranks", p, *self.ONE_BUCKET, *self.SLOW, "--algorithm", "binomial")
            self.near(row["step_seconds"], 0.095 + 2 * math.ceil(math.log2(p)) *
                      (50e-6 + n / 1e9), 1e-4)
        # one more than a power of two gives what it has to another and gets the sum back
        row = self.step("--ranks", 9, *self.ONE_BUCKET, *self.SLOW, "--algorithm", "tree")
        cost = tree(n, 8, 50e-6, 1e9) + 2 * (50e-6 + n / 1e9)
        self.near(row["step_seconds"], 0.1 + cost - 0.005, 1e-4)
        for p in (8, 64, 512):
            row = self.step("--ranks", p, *self.ONE_BUCKET, *self.SLOW, "--algorithm",
                            "hierarchical", "--per-host", 8, "--host-latency-us", 2,
                            "--host-gbyte-per-s", 100)
            self.near(row["exchange_seconds"],
                      ring(n, 8, 2e-6, 100e9) + ring(n / 8, p // 8, 50e-6, 1e9))

    def test_sums_that_cost_nothing(self):
        row = self.step("--ranks", 512, "--latency-us", 0, "--gbyte-per-s", 1e15)
        self.near(row["step_seconds"], 0.1, 1e-4)
        self.assertLess(row["exposed_seconds"], 1e-9)
        self.near(row["efficiency"], 1, 1e-4)

    def test_passes_that_cost_nothing(self):
        trace = profile(forward=0, backward=0)
        row = self.step("--ranks", 16, "--bucket-mb", 4, *self.SLOW, trace=trace)
        cost = sum(ring(n * 2 ** 20, 16, 50e-6, 1e9) for n in (1, 5, 6))
        self.near(row["exposed_seconds"], cost)
        self.near(row["step_seconds"], cost + OPTIMISER, 1e-5)

    def test_buckets_one_after_the_other(self):
        # 2 ranks, no latency: a sum takes n / b. At 0.1 GB/s the first ends before the second is
        # ready, the second after the third is.
        row = self.step("--ranks", 2, "--bucket-mb", 4, "--latency-us", 0, "--gbyte-per-s", 0.1)
        first, second, third = (n * 2 ** 20 / 0.1e9 for n in (1, 5, 6))
        self.assertLess(0.01 + first, 0.04)
        self.assertGreater(0.04 + second, 0.055)
        self.near(row["step_seconds"], FORWARD + 0.04 + second + third + OPTIMISER, 1e-4)
        # from when it is ready; the third's turn comes when the second is there
        self.near(row["exchange_seconds"], first + second + third, 1e-4)

    def test_everybody_waits_for_the_last_one(self):
        # the largest of p exponentially distributed times has the mean 1 + 1/2 + ... + 1/p
        free = ("--latency-us", 0, "--gbyte-per-s", 1e15, "--steps", 4000)
        # and all begin together: nobody does anything after the last sum
        trace = profile(optimiser=0, ready=[BACKWARD, *READY[1:]])
        for p in (2, 16, 128):
            row = self.step("--ranks", p, "--jitter", 0.05, *free, trace=trace)
            mean = 0.09 * (1 + 0.05 * sum(1 / i for i in range(1, p + 1)))
            deviation = 0.09 * 0.05 * math.sqrt(sum(1 / i ** 2 for i in range(1, p + 1)))
            standard_error = deviation / math.sqrt(4000)
            self.assertLess(abs(row["step_seconds"] - mean), 3 * standard_error)
            self.near(row["deviation"], deviation, 0.1)
            self.near(row["efficiency"], 0.09 * 1.05 / row["step_seconds"], 1e-4)
        # the same seed draws the same
        same = [self.step("--ranks", 16, "--jitter", 0.05, "--seed", s) for s in (3, 3, 4)]
        self.assertEqual(same[0], same[1])
        self.assertNotEqual(same[0], same[2])

    def test_other_machines_and_batches(self):
        result = self.simulate("--ranks", 1, "--compute-seconds", 0.01)
        self.near(result["forward_seconds"], FORWARD / 10, 1e-4)
        self.near(result["ready_seconds"][0], 0.001, 1e-4)
        self.near(result["ranks"][0]["step_seconds"], 0.01, 1e-4)
        result = self.simulate("--ranks", 1, "--batch-factor", 3)
        self.assertEqual(result["batch_size"], 24)
        self.near(result["ranks"][0]["step_seconds"], 3 * 0.09 + 0.01, 1e-4)

    def test_wrong_profiles(self):
        def complaint(text, *args, code=3):
            (self.dir / "bad.json").write_text(text)
            result = execute("scale", "simulate", "bad.json", *args, folder=self.dir, code=code)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            return result.stderr

        self.assertIn("bad.json: is of 2 processes", complaint(json.dumps(profile(processes=2))))
        for text in ("", "[]", "{}", json.dumps(profile())[:-9], '{"traceEvents": 3}'):
            self.assertIn("scale: bad.json: is no profile", complaint(text))
        nothing = profile()
        nothing["traceEvents"] = []
        self.assertIn("bad.json: has 0 steps", complaint(json.dumps(nothing)))
        self.assertIn("--ranks: 12 are not whole hosts of 8 (--per-host)",
                      complaint(json.dumps(profile()), "--ranks", 12, "--algorithm",
                                "hierarchical", code=2))

    def test_of_a_training(self):
        execute("train", "--model", "resnet", "--data", "shapes", "--shapes-train", 96,
                "--shapes-test", 8, "--threads", 1, "--batch-size", 16, "--steps", 5, "--profile",
                "--output", "runs", folder=self.dir)
        [path] = self.dir.glob("runs/2*/profile.json")
        facts = json.loads(path.read_text())["otherData"]
        result = json.loads(execute("scale", "simulate", path, "--json", folder=self.dir).stdout)
        # the training's own buckets
        self.assertEqual(result["bytes"], [4 * b["count"] for b in facts["buckets"]])
        ready = result["ready_seconds"]
        self.assertEqual(ready, sorted(ready))
        self.assertTrue(0 < ready[0] < ready[-1] <= result["backward_seconds"])

    @unittest.skipUnless((BUILD / "passband_openmpi.so").exists() and shutil.which(
        "mpirun.openmpi"), "no Open MPI")
    def test_measurement(self):
        environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                       "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                       "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}
        result = subprocess.run(
            ["mpirun.openmpi", "--oversubscribe", "--bind-to", "none", "-n", "2", BUILD / "scale",
             "measure", "--most-mb", "1", "--repeats", "3", "--json"], env=environment,
            capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        measured = json.loads(result.stdout)
        self.assertEqual(measured["processes"], 2)
        self.assertEqual([s["bytes"] for s in measured["sums"]], [4 ** i for i in range(6, 11)])
        for s in measured["sums"]:
            self.assertTrue(0 < s["least"] <= s["low"] <= s["median"] <= s["high"])
            self.near(s["bus_bytes_per_second"], s["bytes"] / s["least"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
