#!/usr/bin/env python3
"""What a run remembers, how it is repeated and goes on, and what may not end it. Usage:
test_runs.py BUILD_DIR"""

import fcntl
import json
import os
import pty
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import tomllib
import unittest
import zlib
from pathlib import Path

BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else Path("build").resolve()
SMALL = ["--model", "C.C:width=8", "--img-size", 32, "--batch-size", 4, "--threads", 1]
SHAPES = ["--data", "shapes", "--shapes-train", 64, "--shapes-test", 20]


def png(file, side=40):
    """A picture of noise, drawn from the last parts of its path."""
    noise = random.Random("/".join(file.parts[-3:]))
    chunk = lambda kind, data: (struct.pack(">I", len(data)) + kind + data +
                                struct.pack(">I", zlib.crc32(kind + data)))
    rows = b"".join(b"\0" + noise.randbytes(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
                     chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def folder(place, count=6):
    for split, pictures in (("train", count), ("val", 4)):
        for name in ("cat", "dog"):
            (place / split / name).mkdir(parents=True)
            for i in range(pictures):
                png(place / split / name / f"{i}.png")
    return place


class Runs(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-runs-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        (self.dir / "runs").mkdir()
        self.data = folder(self.dir / "d")

    def execute(self, program, *args, code=0, where=None):
        command = [BUILD / program, *(a if isinstance(a, bytes) else str(a) for a in args)]
        result = subprocess.run(command, cwd=where or self.dir, timeout=240, capture_output=True)
        result.stdout, result.stderr = (text.decode(errors="replace")
                                        for text in (result.stdout, result.stderr))
        self.assertEqual(result.returncode, code,
                         f"{program} {args}\n{result.stdout}\n{result.stderr}")
        return result

    def train(self, *args, **kwargs):
        return self.execute("train", *args, **kwargs)

    def begin(self, *args, **kwargs):
        """A new run on the folder of pictures: two epochs of three steps."""
        self.train(*SMALL, "--data", "d", "--epochs", 2, *args, **kwargs)
        return (self.dir / "runs" / "last").resolve()

    def message(self, *args, code=2, program="train"):
        lines = self.execute(program, *args, code=code).stderr.splitlines()
        complaints = [line for line in lines if line.startswith(program + ": ")]
        self.assertEqual(complaints, lines[-1:])
        return complaints[0]

    def config(self, run):
        return tomllib.loads((run / "config.toml").read_text())

    def weights(self, run):
        return (run / "last.safetensors").read_bytes()

    def losses(self, run):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [(line["step"], line["split"], line["loss"]) for line in lines]

    # --- what a run remembers ---------------------------------------------------------------------

    def test_a_run_remembers_its_pictures_and_the_call_that_began_it(self):
        run = self.begin("--lr", "0.125")
        config = self.config(run)
        self.assertEqual(config["data"]["data"], str(self.data))
        self.assertEqual(config["data"]["data_path"], str(self.data))
        self.assertEqual(config["data"]["class_names"], ["cat", "dog"])
        self.assertEqual(config["data"]["training_pictures"]["count"], 12)
        self.assertEqual(config["data"]["test_pictures"]["count"], 8)
        session, = config["session"]
        self.assertIn("--lr 0.125", session["command"])
        self.assertIn(os.uname().nodename, session["machine"])
        self.assertLess(abs(session["date"].timestamp() - time.time()), 600)
        version = self.train("--version").stdout.strip()
        self.assertEqual(version, "Passband " + session["version"])

    def test_a_recipe_repeats_a_run_bit_for_bit(self):
        run = self.begin("--mixup", 0.5, "--model-ema", "--lr", 0.3, "--data-fraction", 0.7)
        for recipe in ("last", run.name, run / "config.toml"):
            self.train("--recipe", recipe)
            again = (self.dir / "runs" / "last").resolve()
            self.assertNotEqual(run, again)
            self.assertEqual(self.losses(run), self.losses(again))
            self.assertEqual(self.weights(run), self.weights(again))
        self.train("--recipe", run, "--seed", 43)
        self.assertNotEqual(self.losses(run), self.losses((self.dir / "runs" / "last").resolve()))
        self.assertIn("nor a .toml file", self.message("--recipe", "no-such-run"))

    def test_names_of_runs_are_short_and_end_in_the_name_of_the_pictures(self):
        self.train("--model", "C" * 70 + ":width=4", *SMALL[2:], "--data", "d/", "--epochs", 1)
        run = (self.dir / "runs" / "last").resolve()
        self.assertLessEqual(len(run.name), 80)
        self.assertTrue(run.name.endswith("-d"), run.name)

    def test_any_name_of_a_folder_can_be_resumed_and_analysed(self):
        for name in ("a\u00a0b".encode(), "a\u00adb".encode(), b"a\xe4b"):
            os.rename(os.fsencode(self.data), os.path.join(os.fsencode(self.dir), name))
            self.train(*SMALL, "--data", name, "--epochs", 1)
            self.train("--resume", "last", "--epochs", 2)
            self.execute("analyze", "--run", "last", "--only", "confusion")
            os.rename(os.path.join(os.fsencode(self.dir), name), os.fsencode(self.data))

    def test_runs_are_listed_best_first_compared_and_deleted(self):
        first = self.begin("--lr", 0.01)
        second = self.begin("--lr", 0.05, "--aa", "rand-m9-mstd0.5")
        (self.dir / "runs" / "broken").mkdir()
        rows = json.loads(self.train("--runs", "--json").stdout)
        self.assertEqual({row["run"] for row in rows[:2]}, {first.name, second.name})
        self.assertGreaterEqual(rows[0]["top1"], rows[1]["top1"])
        self.assertIn("can not be read: broken: ", self.train("--runs").stdout)
        differs = json.loads(self.train("--runs", first.name, second.name, "--json").stdout)
        self.assertEqual(differs["lr"] + differs["aa"], ["0.01", "0.05", "", "rand-m9-mstd0.5"])
        self.assertNotIn("batch_size", differs)
        for name in (first.name[:-3], "last", ".."):
            self.assertIn("whole name", self.message("--runs", "--delete", name))
        handle = os.open(second, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self.assertIn("another train is at work", self.message("--runs", "--delete", second.name))
        os.close(handle)
        self.train("--runs", "--delete", second.name)
        self.assertEqual({p.name for p in (self.dir / "runs").iterdir()},
                         {"broken", first.name, "last"})

    # --- going on ---------------------------------------------------------------------------------

    def test_a_resume_brings_the_configuration_up_to_date(self):
        run = self.begin()
        said = self.train("--resume", "last", "--epochs", 6, "--steps", 8).stderr
        self.assertIn("epochs 2 -> 6: from step 7 on, of 18", said)
        self.assertEqual(self.config(run)["train"]["epochs"], 6)
        self.assertEqual([entry["step"] for entry in self.config(run)["session"]], [0, 6])
        self.train("--resume", "last")
        self.assertEqual(self.losses(run)[-1][0], 18)
        self.assertIn("lr 0.05 -> 0.1", self.train("--resume", "last", "--epochs", 7, "--lr",
                                                   0.1).stderr)
        self.assertIn("batch_size belongs to the run",
                      self.message("--resume", "last", "--batch-size", 3))
        self.assertIn("--resume: is empty", self.message("--resume", ""))

    def test_moved_pictures_are_found_again_and_others_are_refused(self):
        self.begin()
        moved = self.dir / "elsewhere" / "d"
        moved.parent.mkdir()
        self.data.rename(moved)
        self.assertIn("not there any more", self.message("--resume", "last", code=3))
        self.train("--resume", "last", "--epochs", 3, "--data", moved)
        self.train("--resume", "last", "--epochs", 4)
        held = self.dir / "holds"
        held.mkdir()
        third = moved.rename(held / "third")
        self.execute("analyze", "--run", "last", "--only", "confusion", "--data-dir", third)
        self.train("--resume", "last", "--epochs", 5, "--data-dir", third)
        self.data = third.rename(self.dir / "third")
        self.train("--resume", "last", "--epochs", 6, "--data-dir", self.dir)
        (self.data / "train" / "cat" / "0.png").rename(self.data / "train" / "dog" / "x.png")
        text = self.message("--resume", "last", "--epochs", 9, "--data", self.data, code=3)
        self.assertIn("training pictures changed", text)
        png(self.data / "train" / "cat" / "7.png")
        text = self.message("--resume", "last", "--epochs", 9, "--data", self.data, code=3)
        self.assertIn("there were 12 training pictures and are 13", text)

    def test_classes_that_changed_are_refused_by_name(self):
        self.begin("--steps", 2)
        for split in ("train", "val"):
            (self.data / split / "dog").rename(self.data / split / "ant")
        wanted = 'class 0 was "cat" and is "ant" now'
        self.assertIn(wanted, self.message("--resume", "last", code=3))
        self.assertIn(wanted, self.message("--run", "last", "--only", "confusion", code=3,
                                           program="analyze"))
        self.assertIn(wanted, self.message("--run", "last", "--only", "confusion", "--data", "d",
                                           program="analyze"))

    def test_a_run_that_was_killed_before_its_first_save_says_so(self):
        run = self.begin("--steps", 2)
        for file in run.glob("*.safetensors"):
            file.unlink()
        for text in (self.message("--resume", "last", code=3),
                     self.message("--run", "last", code=3, program="analyze")):
            self.assertIn("stopped before its first save", text)
            self.assertIn(f"--recipe {run}", text)
        self.train("--recipe", run)

    def start(self, *args, **kwargs):
        """A long training, once it has done some steps."""
        process = subprocess.Popen(
            [
                BUILD / "train", *map(str, SMALL), "--data", "d", "--epochs", "4000",
                "--eval-interval", "4000", *map(str, args)
            ], cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        deadline = time.time() + 120
        while time.time() < deadline and process.poll() is None:
            logs = self.dir.glob("runs/2*/metrics.jsonl")
            if any('"step":5,' in log.read_text() for log in logs):
                break
            time.sleep(0.02)
        return process

    def test_saves_come_by_time_so_that_a_kill_costs_little(self):
        process = self.start("--save-minutes", 0.0001)
        process.kill()
        process.communicate(timeout=120)
        run = (self.dir / "runs" / "last").resolve()
        self.assertTrue((run / "optim.safetensors").exists())
        saved = self.losses(run)[-1][0]
        self.train("--resume", "last", "--steps", saved + 2)
        self.assertEqual(self.losses(run)[-1][0], saved + 2)

    def test_one_train_at_a_time_works_on_a_run_and_a_kill_frees_it(self):
        process = self.start("--save-minutes", 0.0001)
        self.assertIn("another train is at work", self.message("--resume", "last"))
        process.kill()
        process.communicate(timeout=120)
        self.train("--resume", "last", "--dry-run")

    # --- what may not end a training --------------------------------------------------------------

    def test_a_damaged_file_of_a_run_is_refused_by_name_and_a_whole_one_goes_on(self):
        run = self.begin()
        for name in ("config.toml", "metrics.jsonl", "summary.csv", "optim.safetensors",
                     "checksums.txt"):
            whole = (run / name).read_bytes()
            flipped = bytearray(whole)
            flipped[len(whole) // 2] ^= 4
            for damaged in (bytes(flipped), whole[:len(whole) // 2]):
                (run / name).write_bytes(damaged)
                self.assertIn(name, self.message("--resume", run, "--epochs", 3, code=3))
            (run / name).write_bytes(whole)
        (run / "checksums.txt").unlink()
        whole = (run / "config.toml").read_bytes()
        (run / "config.toml").write_bytes(whole.replace(b"epochs = 2", b"epochs = 3"))
        for call in ("--resume", "--recipe"):
            self.assertIn("delete its first line", self.message(call, run, code=3))
        self.message("--recipe", run / "config.toml", code=3)
        self.message("--run", run, "--only", "confusion", code=3, program="analyze")
        (self.dir / "my.toml").write_bytes((run / "config.toml").read_bytes())
        self.train("--recipe", "my.toml", "--dry-run")
        changed = (run / "config.toml").read_bytes().split(b"\n", 1)[1]
        (run / "config.toml").write_bytes(changed)
        self.train("--resume", run, "--dry-run")
        (run / "optim.safetensors.tmp-0123456789abcdef").touch()
        self.train("--resume", run, "--epochs", 3)
        self.assertEqual(list(run.glob("*tmp*")), [])

    def test_what_cannot_be_printed_ends_no_training_but_fails_where_it_is_the_product(self):
        call = [BUILD / "train", *map(str, SMALL), "--data", "d", "--epochs", "1"]
        with open("/dev/full", "w") as full:
            start = lambda *more, **streams: subprocess.run([*call, *more], cwd=self.dir,
                                                            timeout=240, **streams).returncode
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            self.assertEqual(start(**quiet | {"stderr": full}), 0)
            for product in ("--dry-run", "--doctor", "--json"):
                self.assertEqual(start(product, **quiet | {"stdout": full}), 1, product)
            self.assertEqual(start(preexec_fn=lambda: os.close(2), stdout=subprocess.DEVNULL), 0)
        for line in (self.dir / "runs" / "last" / "metrics.jsonl").read_text().splitlines():
            json.loads(line)

    def test_limits_of_the_queue_save_like_any_signal(self):
        call = [BUILD / "train", *map(str, SMALL), "--data", "d", "--epochs", "4000", "--output",
                "out", "--eval-interval", "4000"]
        process = subprocess.Popen(call, cwd=self.dir, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        logs = Path(self.dir, "out").glob
        while not any('"step":3,' in log.read_text() for log in logs("*/metrics.jsonl")):
            time.sleep(0.1)
        process.send_signal(signal.SIGXCPU)
        self.assertEqual(process.wait(timeout=120), 128 + signal.SIGXCPU)
        self.assertTrue(list(self.dir.glob("out/*/optim.safetensors")))

    def test_a_file_that_may_not_grow_saves_like_any_signal_or_fails_in_words(self):
        start = lambda limit, *args: subprocess.run(
            [BUILD / "train", *map(str, SMALL), *map(str, SHAPES), *args], cwd=self.dir, text=True,
            capture_output=True, timeout=240, preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (limit, limit)))
        result = start(48 << 10, "--epochs", "200", "--eval-interval", "200")  # its log is longer
        self.assertEqual(result.returncode, 128 + signal.SIGXFSZ, result.stderr)
        run = (self.dir / "runs" / "last").resolve()
        stopped = int(re.search(r"stopped at step (\d+)", result.stdout).group(1))
        self.train("--resume", "last", "--steps", stopped + 2)
        self.assertIn("metrics.jsonl: cannot be written: File too large", result.stderr)
        steps = [step for step, split, _ in self.losses(run) if split == "train"]
        self.assertEqual(steps, [step for step in range(1, stopped + 3) if step != stopped])
        result = start(8 << 10, "--epochs", "1")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(result.stderr.splitlines()[-1], r"best\.safetensors: File too large")
        run = (self.dir / "runs" / "last").resolve()
        self.assertEqual(list(run.glob("*safetensors*")), [])

    def rewrite(self, file, change):
        """A safetensors file whose header, as JSON, and whose bytes are changed."""
        data = file.read_bytes()
        size = int.from_bytes(data[:8], "little")
        header, body = json.loads(data[8:8 + size]), bytearray(data[8 + size:])
        for key in [key for key in header["__metadata__"] if key.startswith("passband_checksum")]:
            header["__metadata__"].pop(key)
        change(header, body)
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + body)

    def test_a_training_state_is_checked_against_itself(self):
        run = self.begin()
        whole = (run / "optim.safetensors").read_bytes()

        def refused(change):
            (run / "optim.safetensors").write_bytes(whole)
            self.rewrite(run / "optim.safetensors", change)
            text = self.message("--resume", run, "--epochs", 3, code=3)
            self.assertIn("optim.safetensors", text)
            return text

        def state(**values):
            def change(header, body):
                kept = json.loads(header["__metadata__"]["state"])
                header["__metadata__"]["state"] = json.dumps(kept | values)
            return change

        (run / "optim.safetensors").write_bytes(whole)
        self.rewrite(run / "optim.safetensors", state())
        self.train("--resume", run, "--epochs", 3, "--dry-run")
        for values in ({"step": -1}, {"epoch": 7}, {"batch": 9}, {"best_top1": 2},
                       {"epoch_correct": 5}, {"seconds": -1}, {"best_epoch": 9}):
            self.assertIn("contradict each other", refused(state(**values)), values)
        self.assertIn("step 5 is not batch 0 of epoch 2 with 3 steps", refused(state(step=5)))
        for values in ({"step": "six"}, {"epoch": None}):
            self.assertIn("holds no training state", refused(state(**values)))
        self.assertIn("holds no training state",
                      refused(lambda header, body: header["__metadata__"].pop("state")))

        def not_a_number(header, body):
            begin = header["values"]["data_offsets"][0]
            body[begin:begin + 4] = struct.pack("<f", float("nan"))

        self.assertIn("'values' holds values that are not finite", refused(not_a_number))

        def renamed(header, body):
            header["valuez"] = header.pop("values")

        self.assertIn("'values' is missing", refused(renamed))

    def test_a_last_pointer_that_can_not_be_made_ends_nothing(self):
        run = self.begin()
        (self.dir / "runs" / "last").unlink()
        shutil.copytree(run, self.dir / "runs" / "last")
        said = self.train(*SMALL, "--data", "d", "--epochs", 1).stderr
        self.assertIn("cannot point", said)
        out = self.dir / "out"
        said = self.train(*SMALL, "--data", self.data, "--epochs", 1, "--output", out,
                          where="/proc").stderr
        self.assertEqual(said.count("training goes on"), 1)
        self.assertEqual(len(list(out.glob("2*/last.safetensors"))), 1)

    def test_a_closed_terminal_saves_and_a_closed_pipe_changes_nothing(self):
        process = self.start()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 128 + signal.SIGHUP, err)
        self.assertIn(b"--resume", out)
        self.assertTrue((self.dir / "runs" / "last" / "optim.safetensors").exists())
        reading, writing = os.pipe()
        os.close(reading)
        result = subprocess.run([BUILD / "train", *map(str, SMALL), "--data", "d", "--epochs", "2"],
                                cwd=self.dir, stdout=writing, stderr=writing, timeout=240)
        os.close(writing)
        self.assertEqual(result.returncode, 0)
        self.assertEqual(self.losses((self.dir / "runs" / "last").resolve())[-1][0], 6)

    def test_a_hangup_that_nohup_ignores_stays_ignored(self):
        process = self.start(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        process.terminate()
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)

    def test_outputs_that_are_not_numbers_are_wrong_never_best_and_end_with_code_4(self):
        result = self.train("--model", "resnet", "--img-size", 32, "--batch-size", 64, "--data",
                            "d", "--epochs", 1, "--opt", "sgd", "--lr", 1000, "--weight-decay",
                            10, "--decay-all", "--init", "standard", "--set", "whiten=false",
                            "--set", "bn_fixed_scale=false", "--bn-momentum", 0, "--momentum", 0,
                            "--warmup-epochs", 0, "--sched", "constant", "--threads", 1, code=4)
        self.assertIn("the test loss became", result.stderr.strip().splitlines()[-1])
        run = (self.dir / "runs" / "last").resolve()
        row = (run / "summary.csv").read_text().splitlines()[-1].split(",")
        self.assertEqual(row[2:5], ["nan", "0.0000", "0.0000"])
        self.assertEqual(list(run.glob("*.safetensors")), [])

    # --- what is said -----------------------------------------------------------------------------

    def test_a_dry_run_checks_what_the_run_would_and_writes_nothing(self):
        text = self.train(*SMALL, "--data", "d", "--epochs", 1, "--dry-run").stdout
        self.assertEqual(tomllib.loads(text)["data"]["class_names"], ["cat", "dog"])
        answer = json.loads(self.train(*SMALL, "--data", "d", "--dry-run", "--json").stdout)
        self.assertEqual(answer["train"]["batch_size"], 4)
        self.assertEqual(answer["model"]["classes"], 2)
        self.assertEqual(list((self.dir / "runs").iterdir()), [])
        self.message(*SMALL, "--data", "imagenet", "--dry-run")
        self.message(*SMALL, "--data", "d", "--device", "cuda:99", "--dry-run")
        (self.data / "train" / "cat" / "0.png").write_bytes(b"no picture")
        self.message(*SMALL, "--data", "d", "--dry-run", code=3)
        (self.dir / "file").write_text("")
        self.message(*SMALL, *SHAPES, "--dry-run", "--output", self.dir / "file", code=1)

    def test_help_shows_the_values_of_the_recipe_in_force(self):
        help_of = lambda *args: re.sub(r"\s+", " ", self.train(*args, "--help").stdout)
        self.assertRegex(help_of("--model", "vit"), r"--lr=0\.001 ")
        self.assertRegex(help_of("--model", "resnet"), r"--lr=0\.05 ")
        self.assertRegex(help_of("--model", "resnet", "--epochs", 3), r"--epochs=3 ")

    def test_numbers_below_zero_are_read_and_judged(self):
        self.assertIn("threads: -1 is too small", self.message("--threads", -1))
        self.assertIn("lr: -.5 is too small", self.message("--lr", "-.5"))

    def test_quiet_prints_the_result_alone(self):
        result = self.train(*SMALL, "--data", "d", "--epochs", 1, "--quiet")
        self.assertEqual(result.stderr, "")
        self.assertIn("top-1", result.stdout)

    def test_the_best_epoch_is_the_one_that_was_evaluated(self):
        result = self.train(*SMALL, "--data", "d", "--epochs", 4, "--steps", 2)
        self.assertIn("epoch   1  train loss", result.stderr)
        self.assertIn("(epoch 1)", result.stdout)
        self.assertIn(", 1 thread,", result.stderr)

    def test_the_progress_line_fits_a_narrow_terminal(self):
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
        process = subprocess.Popen(
            [BUILD / "train", *map(str, SMALL), "--data", "d", "--epochs", "20"], cwd=self.dir,
            stderr=follower, stdout=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"})
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 4096):
                shown += piece
        except OSError:  # the other end is closed
            pass
        os.close(leader)
        self.assertEqual(process.wait(timeout=120), 0)
        drawn = [part.split(b"\r")[0] for part in shown.split(b"\r\x1b[K")[1:]]
        lines = [line for line in drawn if line.endswith(b" left")]
        self.assertTrue(lines)
        self.assertLess(max(map(len, lines)), 30)

    def test_a_quota_of_a_container_counts_as_cores(self):
        group = Path("/sys/fs/cgroup/cpu" if Path("/sys/fs/cgroup/cpu").is_dir() else
                     "/sys/fs/cgroup") / f"passband-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            self.skipTest("making a control group needs root")
        self.addCleanup(group.rmdir)
        try:
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text("100000 100000")
            else:
                (group / "cpu.cfs_period_us").write_text("100000")
                (group / "cpu.cfs_quota_us").write_text("100000")
        except OSError:
            self.skipTest("no processor quota can be set here")
        environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
        command = f'echo $$ > {group}/cgroup.procs; exec "$0" --doctor'
        out = subprocess.run(["sh", "-c", command, BUILD / "train"], cwd=self.dir, text=True,
                             capture_output=True, env=environment, check=True).stdout
        self.assertRegex(out, r"threads +1 used of .*this container may use 1")


if __name__ == "__main__":
    unittest.main()
