#!/usr/bin/env python3
"""Training on several processes, as mpirun and --processes start them: what they do together is
what one does alone, at any number of them, and the end of one ends all with a word on why. Usage:
test_distributed.py BUILD_DIR (exit code 77 where there is no MPI)"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from png_file import png

BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else Path("build").resolve()
SMALL = ["--model", "C.CM:width=8", "--img-size", 32, "--data", "shapes", "--shapes-train", 120,
         "--shapes-test", 23, "--threads", 1, "--precision", "f32", "--opt", "sgd", "--lr", 0.001,
         "--sync-bn", "--eval-batch-size", 5]
# Launchers by the module they belong to.
LAUNCHERS = {"passband_openmpi.so": ["mpirun.openmpi", "mpirun"],
             "passband_mpich.so": ["mpiexec.mpich", "mpiexec.hydra"]}


def launcher(module):
    if not (BUILD / module).exists():
        return None
    return next(filter(None, map(shutil.which, LAUNCHERS[module])), None)


def mpirun(path, count):
    if "openmpi" not in path and "mpirun" not in path:
        return [path, "-n", count]
    return [path, "--oversubscribe", "--bind-to", "none", "-n", count]


class Distributed(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-ranks-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        (self.dir / "runs").mkdir()
        # a container lets nobody but root in, whom Open MPI asks twice
        self.environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                            "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
                            "OMPI_MCA_rmaps_base_oversubscribe": "1", "TMPDIR": "/tmp"}

    @unittest.skipUnless((BUILD / "build.ninja").exists(), "not built by Ninja")
    def test_modules_are_built_with_the_programs(self):
        rules = (BUILD / "build.ninja").read_text()
        built = re.search(r"^build programs: phony (.*)$", rules, re.MULTILINE)[1].split()
        modules = {module.name for module in BUILD.glob("passband_*.so")}
        self.assertLessEqual(modules, set(built))

    def start(self, *words):
        return subprocess.Popen([str(w) for w in words], cwd=self.dir, env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process, code=0, within=120):
        try:
            out, err = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            process.kill()
            self.fail(f"still running after {within} s\n" + "\n".join(process.communicate()))
        if code is not None:
            self.assertEqual(process.returncode, code, f"{process.args}\n{out}\n{err}")
        return out, err

    def train(self, count, *args, code=0):
        """On `count` processes; the run it made or went on with."""
        self.finish(self.start(*self.command(count), *args), code)
        return (self.dir / "runs" / "last").resolve()

    def command(self, count):
        path = launcher("passband_openmpi.so") or launcher("passband_mpich.so")
        return [BUILD / "train"] if count == 1 else [*mpirun(path, count), BUILD / "train"]

    def lines(self, run):
        return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]

    def assert_same_losses(self, run, other, tolerance):
        a, b = self.lines(run), self.lines(other)
        self.assertEqual([(l["step"], l["split"]) for l in a], [(l["step"], l["split"]) for l in b])
        for x, y in zip(a, b):
            self.assertAlmostEqual(x["loss"], y["loss"], delta=tolerance, msg=f"{x} {y}")

    def complaint(self, err):
        lines = [line for line in err.splitlines() if line.startswith("train: ")]
        self.assertEqual(len(lines), 1, err)
        return lines[0]

    # --- what one would do ------------------------------------------------------------------------

    def test_processes_with_parts_of_a_batch_do_what_one_does_with_the_whole(self):
        # mixup pairs pictures of the whole batch; what is dropped is drawn by row
        more = ["--steps", 8, "--mixup", 0.5, "--cutmix", 1, "--dropout", 0.2, "--drop-path", 0.2,
                "--model-ema", "--clip-grad", 1]
        alone = self.train(1, *SMALL, *more, "--batch-size", 12)
        # from four processes on, Open MPI adds up parts of a vector
        for count, deterministic in ((2, []), (3, []), (4, []), (3, ["--deterministic"])):
            together = self.train(count, *SMALL, *more, *deterministic, "--batch-size", 12 // count)
            self.assert_same_losses(alone, together, 1e-5)

    def test_parts_of_a_step_and_ascending_are_shared_too(self):
        small = ["sam" if word == "sgd" else word for word in SMALL]
        more = ["--steps", 4, "--grad-accum-steps", 3, "--mixup", 0.5]
        # batch norms of a part see that part, in each process and in all
        self.assert_same_losses(self.train(1, *small, *more, "--batch-size", 8),
                                self.train(2, *small, *more, "--batch-size", 4), 1e-5)

    def test_statistics_of_batch_norms_are_each_process_s_own_unless_asked_for(self):
        local = [word for word in SMALL if word != "--sync-bn"]
        a = self.lines(self.train(1, *local, "--batch-size", 12, "--steps", 3))
        b = self.lines(self.train(2, *local, "--batch-size", 6, "--steps", 3))
        self.assertGreater(abs(a[0]["loss"] - b[0]["loss"]), 1e-4)
        self.assertLess(abs(a[0]["loss"] - b[0]["loss"]), 0.2)

    def test_the_same_processes_give_the_same_bits(self):
        more = ["--steps", 5, "--batch-size", 4, "--deterministic"]
        runs = [self.train(3, *SMALL, *more) for _ in range(2)]
        first, second = [(run / "last.safetensors").read_bytes() for run in runs]
        self.assertEqual(first, second)

    def test_any_number_of_processes_gives_the_bytes_of_one(self):
        # at the recipe's rates, by which roundings would grow; with several buckets of gradients
        few = ["--data", "shapes", "--shapes-train", 96, "--shapes-test", 8, "--threads", 1,
               "--seed", 7, "--steps", 3, "--sync-bn", "--deterministic"]
        for model, counts in (("alternet", (2, 4)), ("vit_64x2_patch8", (2,))):
            more = ["--model", model, *few, "--mixup", 0.5, "--clip-grad", 1]
            alone = self.train(1, *more, "--batch-size", 32)
            for count in counts:
                together = self.train(count, *more, "--batch-size", 32 // count)
                self.assert_same_losses(alone, together, 1e-6)
                for name in ("last.safetensors", "best.safetensors"):
                    self.assertEqual((alone / name).read_bytes(), (together / name).read_bytes(),
                                     f"{model}, {count} processes: {name}")

    def test_the_program_starts_its_processes_itself(self):
        process = self.start(BUILD / "train", "--processes", 2, *SMALL, "--batch-size", 6,
                             "--steps", 4, "--json")
        out, err = self.finish(process)
        result = json.loads(out.splitlines()[-1])
        self.assertEqual(len([l for l in out.splitlines() if l.startswith("{")]), 1)
        self.assertEqual(result["step"], 4)
        config = (Path(result["run"]) / "config.toml").read_text()
        self.assertRegex(config, r"(?m)^processes = 2$")
        self.assert_same_losses(Path(result["run"]), self.train(1, *SMALL, "--batch-size", 12,
                                                                "--steps", 4), 1e-5)

    def test_either_mpi_carries_it(self):
        alone = self.train(1, *SMALL, "--batch-size", 12, "--steps", 3)
        for module in LAUNCHERS:
            path = launcher(module)
            with self.subTest(module):
                if not path:
                    self.skipTest("not in this build, or its launcher is not in PATH")
                for count in (2, 3):
                    command = [*mpirun(path, count), BUILD / "train", *SMALL, "--batch-size",
                               12 // count, "--steps", 3]
                    self.finish(self.start(*command))
                    self.assert_same_losses(alone, (self.dir / "runs" / "last").resolve(), 1e-5)

    def test_shards_are_shared_by_any_number_of_processes(self):
        for split, count in (("train", 20), ("val", 5)):
            for kind in ("a", "b"):
                folder = self.dir / "f" / split / kind
                folder.mkdir(parents=True)
                for i in range(count):
                    (folder / f"{i}.png").write_bytes(png(20, f"{split}{kind}{i}"))
        self.finish(self.start(BUILD / "train", "--pack", "f", "s", "--pack-shards", 3))
        small = [*SMALL[:2], "--img-size", 16, *SMALL[SMALL.index("--threads"):]]
        more = [*small, "--data", "s/train-{000000..000002}.tar", "--steps", 6]
        alone = self.train(1, *more, "--batch-size", 12)
        for count in (2, 3):
            self.assert_same_losses(alone,
                                    self.train(count, *more, "--batch-size", 12 // count), 1e-5)

    # --- analyses ---------------------------------------------------------------------------------

    def report(self, count, *args):
        """The report of `count` processes on the last run: numbers by section."""
        place = self.dir / f"report-{count}"
        words = ["--run", "last", "--threads", 1, "--output", place, *args]
        path = launcher("passband_openmpi.so") or launcher("passband_mpich.so")
        self.finish(self.start(*(mpirun(path, count) if count > 1 else []), BUILD / "analyze",
                               *words))
        self.assertFalse((place / "partial").exists())
        summary = json.loads((place / "summary.json").read_text())
        return {**summary["sections"], "headline": summary["headline"]}

    def assert_alike(self, a, b, path=""):
        self.assertIs(type(a), type(b), path)
        if isinstance(a, dict):
            self.assertEqual(list(a), list(b), path)
            for key in set(a) - {"key"}:
                self.assert_alike(a[key], b[key], f"{path}/{key}")
        elif isinstance(a, list):
            self.assertEqual(len(a), len(b), path)
            for i, (x, y) in enumerate(zip(a, b)):
                self.assert_alike(x, y, f"{path}/{i}")
        elif isinstance(a, float):
            self.assertLessEqual(abs(a - b), 1e-5 * max(abs(a), abs(b), 1e-3), path)
        else:
            self.assertEqual(a, b, path)

    def test_a_report_of_several_processes_is_that_of_one(self):
        # thirteen pictures: seven and six, or four, four and five
        self.train(1, *SMALL, "--steps", 3, "--batch-size", 12)
        cheap = ["--images", 13, "--only", "cka,fourier,noise,heatmap,variance,distance,entropy,"
                 "skip,calibration,confusion,shape-bias,augmented,landscape,lesion,curves",
                 "--set", "cka.batch=4",
                 "--set", "heatmap.images=5", "--set", "heatmap.step=8",
                 "--set", "landscape.side_points=3", "--set", "landscape.line_points=3"]
        alone = self.report(1, *cheap)
        self.assertGreater(len(alone), 15)
        for count in (2, 3):
            self.assert_alike(alone, self.report(count, *cheap))

    def test_curvature_and_corruptions_of_several_processes_are_those_of_one(self):
        self.train(1, *SMALL, "--steps", 3, "--batch-size", 12)
        dear = ["--only", "hessian,robustness", "--images", 5, "--set", "hessian.batch=4",
                "--set", "hessian.minibatches=3", "--set", "hessian.top=1",
                "--set", "hessian.top_steps=4", "--set", "hessian.steps=3",
                "--set", "hessian.trace_probes=1", "--set", "robustness.extra=off"]
        self.assert_alike(self.report(1, *dear), self.report(2, *dear))

    def test_processes_of_an_analysis_end_together_and_say_so_once(self):
        self.train(1, *SMALL, "--steps", 3, "--batch-size", 12)
        two = [*self.command(2)[:-1], BUILD / "analyze", "--run", "last", "--threads", 1]
        for more, code, words in ((["--only", "none"], 2, "none"),
                                  (["--explore"], 2, "one process makes that page"),
                                  (["--processes", 3], 2, "2 were started, 3 are asked for")):
            _, err = self.finish(self.start(*two, *more), code=code)
            lines = [line for line in err.splitlines() if line.startswith("analyze: ")]
            self.assertEqual(len(lines), 1, err)
            self.assertIn(words, lines[0])
        out, _ = self.finish(self.start(BUILD / "analyze", "--processes", 2, "--run", "last",
                                        "--only", "variance", "--images", 5))
        self.assertEqual(out.count("report: "), 1)
        # the one that has the report, and one that has not; between looks a batch is worked at
        self.environment["OMPI_MCA_odls_base_sigkill_timeout"] = "4"
        for victim in (0, 1):
            shutil.rmtree((self.dir / "runs" / "last").resolve() / "report")
            process = self.start(*two, "--only", "robustness", "--fresh")
            deadline = time.monotonic() + 60
            while len(ranks := self.ranks("/analyze")) < 2 or not any(
                    self.dir.glob("runs/last/report/partial/*/.lock")):
                self.assertLess(time.monotonic(), deadline)
                self.assertIsNone(process.poll())
                time.sleep(0.02)
            os.kill(ranks[victim], signal.SIGKILL)
            _, err = self.finish(process, code=None, within=60)
            self.assertRegex(err, rf"analyze: rank {victim} of 2 \(.*\) died")

    # --- GPUs -------------------------------------------------------------------------------------

    def test_gpus_add_up_within_the_recorded_step(self):
        if not (BUILD / "train-emulated").exists():
            self.skipTest("train-emulated is not built")
        # batch norms of each process's own; of one network none, which one process trains too
        for model, least in (("C.C:width=8", 2), ("vit_64x1_patch8", 1)):
            small = ["--model", model, "--img-size", 32, "--data", "shapes", "--shapes-train", 40,
                     "--shapes-test", 7, "--threads", 1, "--precision", "f32", "--opt", "sgd",
                     "--lr", 0.001, "--steps", 4, "--init", "standard"]
            for count in range(least, 3):
                more = [*small, "--batch-size", 8 // count]
                on_cpu = self.train(count, *more)
                launched = [*self.command(2)[:-1], BUILD / "train-emulated"]
                self.finish(self.start(*launched, *more[:-1], 4, "--device", "cuda-emulated"))
                on_devices = (self.dir / "runs" / "last").resolve()
                self.assert_same_losses(on_cpu, on_devices, 1e-4)

    # --- going on ---------------------------------------------------------------------------------

    def test_a_run_goes_on_with_another_number_of_processes(self):
        # ten pictures a step: three processes have four, two and four of them
        run = self.train(2, *SMALL, "--batch-size", 5, "--steps", 3)
        self.train(3, "--resume", "last", "--steps", 6)
        self.train(1, "--resume", "last", "--processes", 1, "--steps", 9)
        whole = self.train(1, *SMALL, "--batch-size", 10, "--steps", 9)
        a, b = [[l for l in self.lines(r) if l["split"] == "train"] for r in (run, whole)]
        self.assertEqual([l["step"] for l in a], [l["step"] for l in b])
        for x, y in zip(a, b):
            self.assertAlmostEqual(x["loss"], y["loss"], delta=1e-5)

    def test_what_adds_up_on_gpus_is_named(self):
        out, _ = self.finish(self.start(BUILD / "train", "--doctor"))
        line = next(l for l in out.splitlines() if l.startswith("several processes"))
        self.assertRegex(line, "Open MPI|MPICH")
        if not (BUILD / "passband_nccl.so").exists():
            self.skipTest("no NCCL in this build")
        self.assertRegex(line, r"NCCL 2\.\d+\.\d+")  # which the library itself has said

    # --- ends -------------------------------------------------------------------------------------

    def begin_long(self, *more, count=2, launched_by=None):
        """A run that takes long, its process and the pids of its ranks, once it is at work."""
        command = [*launched_by, BUILD / "train"] if launched_by else self.command(count)
        process = self.start(*command, *SMALL, "--batch-size", 6, "--epochs", 5000,
                             "--eval-interval", 1000, "--save-minutes", 0, *more)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            files = list(self.dir.glob("runs/2*/metrics.jsonl"))
            if files and files[0].read_text().count("\n") > 12:
                return process, self.ranks()
            if process.poll() is not None:
                self.fail("\n".join(process.communicate()))
            time.sleep(0.05)
        process.kill()
        self.fail("no steps in a minute")

    def ranks(self, program="/train"):
        """Pids of the processes of a program that were started here, by rank."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if program.encode() not in (entry / "cmdline").read_bytes().split(b"\0")[0]:
                    continue
                words = dict(word.split(b"=", 1) for word in
                             (entry / "environ").read_bytes().split(b"\0") if b"=" in word)
                if os.readlink(entry / "cwd") != str(self.dir):
                    continue
                rank = words.get(b"OMPI_COMM_WORLD_RANK", words.get(b"PMI_RANK"))
                # a guard, if there is one, came before the one that works
                found[int(rank)] = max(found.get(int(rank), 0), int(entry.name))
            except (OSError, TypeError, ValueError):
                continue
        return found

    def end_of(self, process, within=40):
        begin = time.monotonic()
        _, err = self.finish(process, code=None, within=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertLess(time.monotonic() - begin, within)
        return self.complaint(err)

    def assert_goes_on(self, least):
        """The run has a checkpoint of step `least` or later, and goes on as if nothing was."""
        run = (self.dir / "runs" / "last").resolve()
        state = json.loads(self.metadata(run)["state"])
        self.assertGreaterEqual(state["step"], least)
        self.train(1, "--resume", "last", "--processes", 1, "--steps", state["step"] + 3)
        losses = [l for l in self.lines(run) if l["split"] == "train"]
        self.assertEqual([l["step"] for l in losses], list(range(1, state["step"] + 4)))
        whole = self.train(1, *SMALL, "--batch-size", 12, "--epochs", 5000,
                           "--steps", min(state["step"] + 3, 16))
        for x, y in zip(losses, [l for l in self.lines(whole) if l["split"] == "train"]):
            self.assertAlmostEqual(x["loss"], y["loss"], delta=1e-5)

    def metadata(self, run):
        data = (run / "optim.safetensors").read_bytes()
        return json.loads(data[8:8 + int.from_bytes(data[:8], "little")])["__metadata__"]

    def test_the_death_of_a_process_ends_all_and_the_run_goes_on(self):
        process, ranks = self.begin_long()
        os.kill(ranks[1], signal.SIGKILL)
        line = self.end_of(process)
        self.assertRegex(line, rf"rank 1 of 2 \(host {os.uname().nodename[:60]}\) died .*; saved "
                               r"at step \d+; go on with: ./train --resume ")
        self.assert_goes_on(least=12)

    def test_what_ends_all_is_told_under_mpich_too(self):
        path = launcher("passband_mpich.so")
        if not path:
            self.skipTest("no MPICH in this build, or no mpiexec of it in PATH")
        process, ranks = self.begin_long(launched_by=mpirun(path, 2))
        os.kill(ranks[1], signal.SIGKILL)
        self.assertRegex(self.end_of(process), r"rank 1 of 2 \(.*\) died .*; saved at step \d+")
        self.assert_goes_on(least=12)
        shutil.rmtree(self.dir / "runs")
        (self.dir / "runs").mkdir()
        process, ranks = self.begin_long(launched_by=mpirun(path, 2))
        os.kill(ranks[1], signal.SIGTERM)
        out, _ = self.finish(process, code=128 + signal.SIGTERM)
        self.assertIn("and saved; go on with: ./train --resume", out)

    def test_the_death_of_the_one_that_writes_is_told_by_another(self):
        process, ranks = self.begin_long(count=3)
        os.kill(ranks[0], signal.SIGKILL)
        line = self.end_of(process)
        self.assertRegex(line, r"rank 0 of 3 \(.*\) died .*; go on from the last save with: ")
        self.train(1, "--resume", "last", "--processes", 1, "--steps", 2)

    def test_a_process_that_hangs_is_named(self):
        process, ranks = self.begin_long("--stall-seconds", 5)
        os.kill(ranks[1], signal.SIGSTOP)
        line = self.end_of(process)
        self.assertRegex(line, r"rank 1 of 2 \(.*\) has kept the others waiting for 5 s .*; saved "
                               r"at step \d+")
        self.assert_goes_on(least=12)

    def test_a_request_to_end_stops_all_at_one_step(self):
        process, ranks = self.begin_long()
        os.kill(ranks[1], signal.SIGTERM)
        out, err = self.finish(process, code=128 + signal.SIGTERM)
        self.assertIn("and saved; go on with: ./train --resume", out)
        self.assert_goes_on(least=12)

    def test_a_picture_that_one_process_can_not_read_ends_all(self):
        place = self.dir / "pictures"
        for split in ("train", "val"):
            for name in ("cat", "dog"):
                (place / split / name).mkdir(parents=True)
        self.finish(self.start(sys.executable, "-c", PNGS, place))
        spoilt = sorted((place / "train" / "dog").iterdir())[3]
        spoilt.write_bytes(spoilt.read_bytes()[:-30])
        process = self.start(*self.command(3), *SMALL[:4], "--data", place, "--batch-size", 4,
                             "--epochs", 3, "--threads", 1)
        _, err = self.finish(process, code=3)
        self.assertIn(spoilt.name, self.complaint(err))

    def test_what_can_not_be_is_said_once(self):
        _, err = self.finish(self.start(*self.command(3), *SMALL, "--batch-size", 1, "--steps", 2),
                             code=2)
        self.assertIn("processes: 3 share batches of 3 pictures by pairs", self.complaint(err))
        _, err = self.finish(self.start(*self.command(2), "--model", "no-such-network"), code=2)
        self.assertIn("no-such-network", self.complaint(err))
        _, err = self.finish(self.start(*self.command(2), *SMALL, "--processes", 3), code=2)
        self.assertIn("2 were started, 3 are asked for", self.complaint(err))
        two = [*self.command(2), *SMALL, "--seed", 1]
        one = two[two.index("-n"):]
        process = self.start(*two[:two.index("-n")], "-n", 1, *one[2:], ":", "-n", 1, *one[2:-1], 2)
        _, err = self.finish(process, code=2)
        self.assertRegex(self.complaint(err),
                         r"rank 1 of 2 \(.*\) differs: seed = 2, in rank 0: seed = 1")


# Pictures of noise.
PNGS = """
import random, struct, sys, zlib
from pathlib import Path
for folder in Path(sys.argv[1]).glob("*/*"):
    for i in range(12):
        noise = random.Random(f"{folder.parts[-2:]} {i}")
        chunk = lambda kind, data: (struct.pack(">I", len(data)) + kind + data +
                                    struct.pack(">I", zlib.crc32(kind + data)))
        rows = b"".join(b"\\0" + noise.randbytes(3 * 32) for _ in range(32))
        (folder / f"{i:02}.png").write_bytes(
            b"\\x89PNG\\r\\n\\x1a\\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))
"""

if __name__ == "__main__":
    if not any(map(launcher, LAUNCHERS)):
        print("skipped: no MPI in this build, or no mpirun in PATH")
        sys.exit(77)
    unittest.main(verbosity=2)
