#!/usr/bin/env python3
"""`make gpu-check` without a GPU: bounds, page, a rehearsal of all parts. Usage: test_gpu_check.py
BUILD_DIR"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else Path("build").resolve()
FOLDER = Path(__file__).resolve().parent.parent / "experiments" / "gpu"
sys.path.insert(0, str(FOLDER))
sys.dont_write_bytecode = True

import check  # noqa: E402
import kit  # noqa: E402
import page  # noqa: E402
from roofline import training_step  # noqa: E402


class Roofline(unittest.TestCase):
    # Images per second at 790 TFLOP/s and 4.3 TB/s, MB and GFLOP per picture, millions of
    # parameters, counted by another program. Multiply-accumulates and parameters are those that
    # torchvision and timm publish.
    COUNTED = [("resnet18", 32, 512, 139408, 19.4, 3.33, 11.17),
               ("resnet50", 32, 512, 35235, 106.0, 7.79, 23.52),
               ("preact_resnet50", 32, 512, 37703, 98.0, 7.79, 23.51),
               ("vit_tiny_patch4", 32, 512, 168992, 25.4, 2.19, 5.36),
               ("vit_small_patch4", 32, 512, 63558, 51.7, 8.52, 21.34),
               ("resnet50", 224, 256, 11046, 339.7, 24.54, 25.56),
               ("vit_small_patch16", 224, 256, 20999, 155.6, 27.59, 22.05)]

    def test_bounds_are_those_of_an_independent_count(self):
        for model, side, batch, images, megabytes, gflop, millions in self.COUNTED:
            step = training_step(model, side, batch, 10 if side == 32 else 1000)
            with self.subTest(model, side=side):
                self.assertAlmostEqual(step.images_per_s(790e12, 4.3e12) / images, 1, delta=0.015)
                self.assertAlmostEqual(step.megabytes() / megabytes, 1, delta=0.015)
                self.assertAlmostEqual(step.gflop() / gflop, 1, delta=0.015)
                self.assertAlmostEqual(step.parameters / 1e6 / millions, 1, delta=0.01)

    def test_every_model_that_is_measured_has_a_bound(self):
        for model, side, batches in check.MODELS:
            self.assertIsNotNone(training_step(model, side, batches[0], 10))


class Parts(unittest.TestCase):
    def test_a_part_that_fails_is_reported_and_the_rest_goes_on(self):
        def fail():
            raise check.PartFailed("no such thing")

        found = check.run_parts([("tests", "a", 1, fail), ("tests", "b", 1, lambda: 1 // 0),
                                 ("tests", "c", 1, lambda: {"cases": 3})], 0)
        self.assertEqual(
            [found[f"tests: {name}"]["outcome"] for name in "abc"],
            ["no such thing", "ZeroDivisionError: integer division or modulo by zero", "passed"])

    def test_what_was_found_is_kept_after_every_part(self):
        kept = []
        check.run_parts([("tests", name, 1, lambda: None) for name in "ab"], 0,
                        lambda found: kept.append(list(found)))
        self.assertEqual(kept, [["tests: a"], ["tests: a", "tests: b"]])

    def test_a_test_that_fails_runs_again_with_launches_waited_for(self):
        def run(*command, **environment):
            if blocking_too or "CUDA_LAUNCH_BLOCKING" not in environment:
                raise check.PartFailed(f"fault {environment.get('CUDA_LAUNCH_BLOCKING', 0)}")
            return "test cases: 3"

        machine = check.Machine(argparse.Namespace(build=Path("build"), rehearse=False))
        machine.run = run
        for blocking_too, expected in ((True, "fault 0\nwith CUDA_LAUNCH_BLOCKING=1: fault 1"),
                                       (False, "fault 0\nwith CUDA_LAUNCH_BLOCKING=1 it passes")):
            with self.assertRaisesRegex(check.PartFailed, expected):
                machine.test("test_op_table")

    def test_a_failure_shows_its_beginning_and_its_end(self):
        self.assertEqual(check.shortened(" first\nlast\n"), "first\nlast")
        text = check.shortened("first" + 9000 * "-" + "last")
        self.assertTrue(text.startswith("first") and text.endswith("last") and len(text) < 6000)

    def test_an_interruption_keeps_what_was_found(self):
        def interrupt():
            raise KeyboardInterrupt

        parts = [("tests", "a", 1, lambda: None), ("tests", "b", 1, interrupt),
                 ("tests", "c", 1, lambda: None)]
        self.assertEqual(list(check.run_parts(parts, 0)), ["tests: a"])

    def test_no_part_starts_when_time_is_over(self):
        self.assertEqual(check.run_parts([("tests", "a", 1, lambda: None)], -1), {})


class Kit(unittest.TestCase):
    def test_what_is_packed_runs_from_where_it_is_unpacked(self):
        with tempfile.TemporaryDirectory() as name:
            build, output = Path(name) / "build", Path(name) / "kit"
            (build / "tests").mkdir(parents=True)
            binaries = [build / "train", build / "tests" / "test_cuda_norms"]
            for binary in binaries:
                shutil.copy(shutil.which("true"), binary)
            archive = kit.pack(binaries, output)
            self.assertEqual([path.name for path in output.iterdir()], [archive.name])
            with unittest.mock.patch.dict(os.environ):
                unpacked = check.open_kit(output)
                self.assertTrue(os.environ["LD_LIBRARY_PATH"].startswith(f"{unpacked / 'lib'}:"))
            for program in ("train", "tests/test_cuda_norms"):
                subprocess.run([unpacked / program], check=True)
            shutil.rmtree(unpacked)

    def test_libraries_that_every_machine_has_are_left_out(self):
        packed = kit.libraries_of([BUILD / "train"])
        everywhere = ("libc.", "libm.", "libstdc++")
        self.assertFalse([name for name in packed if name.startswith(everywhere)])
        self.assertTrue(any(name.startswith("libfmt") for name in packed) or not packed)

    def test_launches_are_added_up_by_kernel(self):
        metrics = ("gpu__time_duration.sum", "dram__bytes.sum", "sm__issue_active")
        values = {"0": (2000, 4e6, 30), "1": (1000, 2e6, 50), "2": (9000, 1e6, 10)}
        lines = ["==PROF== Connected", '"ID","Kernel Name","Metric Name","Metric Value"']
        for launch, row in values.items():
            name = "passband::cuda::a<1>(float *)" if launch < "2" else "void b(int)"
            lines += [f'"{launch}","{name}","{m}","{v:,.0f}"' for m, v in zip(metrics, row)]
        self.assertEqual(check.launches_of(lines, metrics),
                         [["b", 1, 9.0, 1.0, 10.0], ["a<1>", 2, 3.0, 6.0, 40.0]])

    def test_a_short_visit_begins_with_the_tests_and_ends_with_pytorch(self):
        machine = check.Machine(argparse.Namespace(build=Path("build"), rehearse=False))
        groups = [group for group, _, _, _ in check.kit_plan(machine)]
        self.assertEqual(list(dict.fromkeys(groups)), ["tests", "training", "launches"])
        self.assertEqual(groups[-1], "training")


def step_of(rate, **more):
    return {
        "outcome": "passed", "seconds": 1, "data": {
            "images_per_s_median": rate, "peak_memory_mb": 700, "device": "NVIDIA Test", **more
        }
    }


class Page(unittest.TestCase):
    PEER = {
        "torch": "2.0", "modes": [{"mode": "tuned", "step_ms_median": 32.0, "peak_memory_mb": 900},
                                  {"mode": "compile", "message": "losses of step 1 differ"}]
    }

    def write(self, folder, found):
        return page.write_files(Path(folder), {"name": "NVIDIA Test"}, found, False)

    def test_goals_stand_beside_what_was_measured(self):
        found = {"operations: all native": {"outcome": "passed", "seconds": 1, "data": {
                     "copy_gbytes_per_s": 4300, "product_gflops_bf16": 790000, "results": []}},
                 "training: resnet50 32 512 bf16 graph": step_of(20000, peer=self.PEER),
                 "training: resnet50 32 512 bf16 eager": step_of(15000),
                 "training: resnet50 224 256 bf16 graph": step_of(8000)}
        with tempfile.TemporaryDirectory() as folder:
            text = self.write(folder, found).read_text()
        # 512 pictures in 32 ms are 16,000 a second; the bound is 35,167.
        self.assertIn(
            "| 1.2 times the best of PyTorch's modes | resnet50 at 32 | 512 | 1.25 | yes |", text)
        self.assertIn("| 70 % of the fused bound | resnet50 at 32 | 512 | 57 % | no |", text)
        self.assertIn("| 7,950 images/s | resnet50 at 224 | 256 | 8,000 | yes |", text)
        self.assertIn("losses of step 1 differ", text)
        row = (
            "| resnet50 | 32 | 512 | bf16 | 15,000 | 20,000 | - | 35,167 | 57 % | 16,000 | 1.25 |"
            " 700 | 900 |"
        )
        self.assertIn(row, text)

    def test_a_page_needs_no_git(self):
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict(
                "os.environ", PATH=folder):
            text = self.write(folder, {"tests: a": {"outcome": "passed", "seconds": 1}}).read_text()
        self.assertIn("at a bundle (", text)

    def test_what_an_earlier_call_found_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            self.write(folder, {"tests: a": {"outcome": "passed", "seconds": 1}})
            self.write(folder, {"tests: b": {"outcome": "broken", "seconds": 1}})
            parts = json.loads((Path(folder) / "nvidia-test.json").read_text())["parts"]
            self.assertEqual({name: part["outcome"] for name, part in parts.items()},
                             {"tests: a": "passed", "tests: b": "broken"})
            names = sorted(path.name for path in Path(folder).iterdir())
            self.assertEqual(names, ["nvidia-test.json", "nvidia-test.md"])


class Rehearsal(unittest.TestCase):
    def test_every_part_runs_on_the_emulated_device(self):
        done = subprocess.run([sys.executable, "-B", FOLDER / "check.py", BUILD, "--rehearse"],
                              text=True, timeout=280, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        path = Path(done.stdout.splitlines()[-1])
        parts = json.loads(path.with_suffix(".json").read_text())["parts"]
        text = path.read_text()
        for file in path.parent.iterdir():
            file.unlink()
        path.parent.rmdir()
        self.assertTrue(text.startswith("# Rehearsal, no GPU"))
        for name, part in parts.items():
            expected = "not run: no GPU" if name.startswith("sanitizer") else "passed"
            self.assertEqual(part["outcome"], expected, name)
            # A Python without PyTorch says so; one with it has passed the comparison of the first
            # loss.
            for mode in (part.get("data") or {}).get("peer", {}).get("modes", []):
                self.assertNotIn("message", mode, name)
        tests = {path.stem for path in (FOLDER.parent.parent / "tests").glob("test_cuda_*.cpp")}
        self.assertLessEqual({f"tests: {test}" for test in tests}, set(parts))
        self.assertEqual({name.split(":")[0] for name in parts}, set(check.GROUPS))

    def test_a_short_visit_is_rehearsed_too(self):
        with tempfile.TemporaryDirectory() as results:
            done = subprocess.run([sys.executable, "-B", FOLDER / "check.py", BUILD, "--rehearse",
                                   "--kit", "--results", results, "--only", "training,launches"],
                                  text=True, timeout=120, capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            parts = json.loads((Path(results) / "rehearsal.json").read_text())["parts"]
        self.assertEqual({name.split(":")[0]: part["outcome"] for name, part in parts.items()},
                         {"training": "passed", "launches": "not run: no GPU"})


if __name__ == "__main__":
    unittest.main()
