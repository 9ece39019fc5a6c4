#!/usr/bin/env python3
"""The programs as a user meets them: commands, files, messages, exit codes. Usage: test_programs.py
BUILD_DIR"""

import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib
from pathlib import Path

BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else Path("build").resolve()
SHAPES = ["--data", "shapes", "--shapes-train", "640", "--shapes-test", "200"]
SMALL = ["--model", "C.CM:width=8,head_dim=8", *SHAPES, "--batch-size", "32"]


class Programs(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def run_program(self, program, *args, code=0, env=None):
        result = subprocess.run([BUILD / program, *map(str, args)], cwd=self.dir, text=True,
                                timeout=240, capture_output=True, env={**os.environ, **(env or {})})
        self.assertEqual(result.returncode, code,
                         f"{program} {args}\n{result.stdout}\n{result.stderr}")
        return result

    def train(self, *args, **kwargs):
        return self.run_program("train", *args, "--output", self.dir / "out", **kwargs)

    def newest(self):
        return max((self.dir / "out").iterdir(), key=lambda path: path.stat().st_mtime_ns)

    def losses(self, run, splits=("train",)):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [(line["step"], line["loss"]) for line in lines if line["split"] in splits]

    def message(self, program, *args, code=2, **kwargs):
        result = self.run_program(program, *args, code=code, **kwargs)
        text = result.stderr.strip()
        self.assertEqual(len(text.splitlines()), 1, text)
        return text

    # --- training ---------------------------------------------------------------------------------

    def test_a_run_shows_its_curves_and_its_loss_on_augmented_pictures(self):
        self.train(*SMALL, "--epochs", 1, "--warmup-epochs", 0, "--mixup", 0.2)
        summary = self.run_program("analyze", "--run", self.newest(), "--images", 64, "--only",
                                   "curves,augmented", "--json").stdout
        sections = json.loads(summary)["sections"]
        self.assertIn("for 1 of 1 epoch (20 steps)", sections["curves"]["finding"])
        for value in (*sections["curves"]["values"].values(),
                      *sections["augmented"]["values"].values()):
            self.assertTrue(math.isfinite(value), sections)

    def test_deleting_takes_runs_alone(self):
        (self.dir / "runs" / "figures").mkdir(parents=True)
        (self.dir / "runs" / "figures" / "a.png").touch()
        text = self.message("train", "--runs", "--delete", "figures")
        self.assertIn("holds no file of a run", text)
        self.assertTrue((self.dir / "runs" / "figures" / "a.png").exists())

    def test_a_run_writes_its_files_and_a_machine_readable_result(self):
        result = json.loads(
            self.train(*SMALL, "--epochs", 1, "--warmup-epochs", 0, "--json").stdout)
        run = Path(result["run"])
        for name in ("config.toml", "metrics.jsonl", "summary.csv", "last.safetensors",
                     "best.safetensors", "optim.safetensors"):
            self.assertTrue((run / name).exists(), name)
        header, row = (run / "summary.csv").read_text().splitlines()
        self.assertEqual(header, "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr")
        self.assertEqual(len(row.split(",")), 6)
        self.assertEqual(result["step"], 20)

    def test_the_same_seed_gives_the_same_losses_and_another_seed_others(self):
        runs = []
        for seed in (7, 7, 8):
            self.train(*SMALL, "--steps", 6, "--seed", seed)
            runs.append(self.losses(self.newest()))
            time.sleep(0.01)
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])

    def test_resuming_continues_bit_for_bit(self):
        rest = ["--epochs", 2, "--warmup-epochs", 0, "--model-ema", "--drop-path", 0.1]
        records = ["--model", "airbench_8_8_8", "--whiten", "--whiten-bias-epochs", 1.2,
                   "--whiten-bias-lr", 20, "--tta", "shift", "--flip", "alternating",
                   "--brightness", 0.1, "--bn-momentum", 0.4, "--progressive-resize", 24]
        for more in ([], ["--opt", "sam", "--aa", "rand-m9-mstd0.5", "--aug-repeats", 2], records,
                     ["--opt", "muon", "--lookahead", "--bias-lr-scale", 4, "--lr-per", 256],
                     ["--select-hard", 0.5, "--proxy", "C.C:width=8"]):
            model = [] if "--model" in more else SMALL[:2]
            extra = [*rest, *([] if "--select-hard" in more else ["--mixup", 0.5])]
            self.train(*model, *SMALL[2:], *extra, *more)
            whole = self.newest()
            # seen on fewer pictures, so that the weights of then are not the best ones
            self.train(*model, *SMALL[2:], *extra, *more, "--steps", 27, "--eval-pictures", 50)
            parted = self.newest()
            self.train("--resume", parted, "--eval-pictures", 0)
            self.assertEqual(self.losses(whole), self.losses(parted))
            for name in ("last.safetensors", "best.safetensors"):
                self.assertEqual((whole / name).read_bytes(), (parted / name).read_bytes(), name)

    def epochs_of(self, run):
        return float(re.search(r"^epochs = (.*)$", (run / "config.toml").read_text(), re.M)[1])

    def test_a_budget_of_minutes_becomes_plain_epochs_that_repeat_and_resume_bit_for_bit(self):
        result = self.train(*SMALL, "--minutes", 0.03, "--threads", 1, "--checkpoint-interval", 4,
                            "--json")
        self.assertRegex(result.stderr, r"/s: 0\.03 minutes hold [0-9.]+ epochs?, [0-9.e-]+ PFLOP")
        numbers, first = json.loads(result.stdout), self.newest()
        # At the rate said last; how long they take depends on what else the machine does.
        rate = float(re.findall("([0-9.]+) pictures/s", result.stderr)[-1])
        self.assertTrue(0 < numbers["step"] < max(1.1 * 60 * 0.03 * rate / 32, 3), result.stderr)
        self.assertEqual(round(20 * self.epochs_of(first)), numbers["step"])
        self.assertIn("\nminutes = 0.0\n", (first / "config.toml").read_text())
        kept = sorted(path.name for path in (first / "checkpoints").iterdir())
        self.assertEqual(kept[0], "epoch-0000.safetensors")
        self.assertEqual(kept[-1], f"epoch-{math.ceil(self.epochs_of(first)):04}.safetensors")
        self.train("--recipe", first)
        whole = self.newest()
        self.train("--recipe", first, "--steps", numbers["step"] // 2)
        parted = self.newest()
        self.train("--resume", parted)
        for run in (whole, parted):
            self.assertEqual(self.losses(run), self.losses(first))
            self.assertEqual((run / "last.safetensors").read_bytes(),
                             (first / "last.safetensors").read_bytes())

    def test_a_budget_that_is_interrupted_in_the_warm_up_is_planned_by_what_was_measured(self):
        process = subprocess.Popen(
            [BUILD / "train", *SMALL, "--minutes", "0.5", "--output", self.dir / "out"],
            cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.time() + 120
        while time.time() < deadline and not list((self.dir / "out").glob("*/metrics.jsonl")):
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("will end in time", err)
        run = self.newest()
        steps = self.losses(run)[-1][0]
        self.assertGreater(20 * self.epochs_of(run), steps)
        self.train("--resume", run, "--steps", steps + 1)
        self.assertIn("new run", self.message("train", "--resume", run, "--minutes", 1))

    def test_any_number_of_threads_gives_the_same_bits(self):
        few = [*SHAPES[:2], "--shapes-train", 48, "--shapes-test", 8, "--batch-size", 4]
        for model in ("alternet", "resnet", "lambda_resnet", "vit"):
            weights = []
            for threads in (1, 2, 3):
                out = self.dir / f"{model}-{threads}"
                self.run_program("train", "--model", model, *few, "--steps", 12, "--threads",
                                 threads, "--output", out)
                weights.append(next(out.glob("*/last.safetensors")).read_bytes())
            self.assertEqual(weights, 3 * weights[:1], model)

    def test_any_number_of_threads_analyses_to_the_same_bits(self):
        self.train("--model", "C.CM.CL:width=8,head_dim=8", *SHAPES, "--steps", 4)
        names = ("cka,similarity,fourier,noise,variance,distance,entropy,receptive-field,rollout,"
                 "lambda-maps,probes,calibration,confusion,robustness,hessian,landscape,lesion")
        small = ["hessian.minibatches=2", "hessian.batch=4", "hessian.steps=4",
                 "hessian.trace_probes=1", "landscape.side_points=3", "landscape.line_points=5"]
        reports = []
        for threads in (1, 2, 3):
            out = self.dir / f"report-{threads}"
            self.run_program("analyze", "--run", self.newest(), "--only", names, "--images", 8,
                             "--threads", threads, "--output", out,
                             *(word for option in small for word in ("--set", option)))
            files = {str(file.relative_to(out)): file.read_bytes()
                     for file in out.rglob("*") if file.suffix in (".csv", ".npy", ".svg")}
            files["sections"] = json.loads((out / "summary.json").read_text())["sections"]
            reports.append(files)
        self.assertGreater(len(reports[0]), 60)
        for other in reports[1:]:
            self.assertEqual(other.keys(), reports[0].keys())
            self.assertEqual([name for name in other if other[name] != reports[0][name]], [])

    def test_a_signal_finishes_the_step_saves_and_can_be_resumed(self):
        for sent, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            process = subprocess.Popen(
                [BUILD / "train", *SMALL, "--epochs", "500", "--output", self.dir / "out"],
                cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            deadline = time.time() + 120
            while time.time() < deadline:
                out = self.dir / "out"
                runs = sorted(out.glob("*/metrics.jsonl")) if out.exists() else []
                if runs and runs[-1].stat().st_size > 0:
                    break
                time.sleep(0.05)
            process.send_signal(sent)
            out, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, code, err)
            self.assertIn("--resume", out)
            run = self.newest()
            steps = self.losses(run)[-1][0]
            self.train("--resume", run, "--steps", steps + 2)
            self.assertEqual(self.losses(run)[-1][0], steps + 2)
            shutil.rmtree(self.dir / "out")

    def test_a_diverging_run_stops_with_code_4_and_keeps_its_checkpoint(self):
        result = self.train(*SMALL, "--opt", "sgd", "--lr", 900, "--weight-decay", 10,
                            "--warmup-epochs", 0, "--epochs", 40, "--precision", "f32", "--sched",
                            "constant", code=4)
        self.assertIn("lower --lr", result.stderr.strip().splitlines()[-1])

    def test_a_finished_run_says_so_when_resumed(self):
        self.train(*SMALL, "--epochs", 1, "--warmup-epochs", 0)
        self.assertIn("is finished", self.train("--resume", self.newest()).stdout)

    # --- lists ------------------------------------------------------------------------------------

    def test_models_are_listed_at_the_size_of_a_data_set(self):
        cifar = json.loads(
            self.run_program("train", "--list", "models", "--data", "cifar100", "--json").stdout)
        imagenet = json.loads(
            self.run_program("train", "--list", "models", "--data", "imagenet", "--json").stdout)
        by_name = {model["name"]: model for model in cifar}
        self.assertEqual(set(by_name["resnet18"]),
                         {"name", "family", "pattern", "parameters", "macs"})
        self.assertEqual(by_name["resnet18"]["parameters"], 11220132)
        self.assertEqual({m["name"]: m["parameters"] for m in imagenet}["resnet50"], 25557032)

    # --- bad input --------------------------------------------------------------------------------

    def test_mistakes_on_the_command_line_are_one_line_with_the_nearest_name(self):
        self.assertIn("resnet50", self.message("train", "--model", "resnt50"))
        self.assertIn("--batch-size", self.message("train", "--bach-size", "3"))
        self.assertIn("epochs", self.message("train", "--set", "epoch=3"))
        self.assertIn("key=value", self.message("train", "--set", "epochs"))
        self.assertIn("not a number", self.message("train", "--lr", "fast"))
        self.assertIn("cifar10", self.message("train", "--data", "cifar11"))
        self.assertIn("models", self.message("train", "--list", "model"))
        self.assertIn("no-such", self.message("train", "--resume", "no-such-run"))
        self.assertIn("cka", self.message("analyze", "--only", "ckaa", "--run", "last"))
        self.assertIn("--model", self.message("analyze", "--weights", "x.safetensors"))

    def test_missing_data_names_the_place_the_command_and_the_way_out(self):
        text = self.message("train", "--model", "resnet", "--data-dir", self.dir, code=3)
        self.assertIn(str(self.dir), text)
        self.assertIn("make data", text)
        self.assertIn("shapes", text)

    def test_a_truncated_data_file_is_named_with_its_size(self):
        folder = self.dir / "cifar-10-batches-bin"
        folder.mkdir()
        for i in range(1, 6):
            (folder / f"data_batch_{i}.bin").write_bytes(b"\0" * 3073)
        (folder / "test_batch.bin").write_bytes(b"\0" * 3073)
        text = self.message("train", "--model", "resnet", "--data-dir", self.dir, code=3)
        self.assertIn("data_batch_1.bin", text)
        self.assertIn("3073", text)

    def test_an_unwritable_output_is_named(self):
        (self.dir / "file").write_text("")
        text = self.run_program("train", *SMALL, "--steps", 1, "--output", self.dir / "file",
                                code=1).stderr
        self.assertIn(str(self.dir / "file"), text)

    def test_a_full_disk_is_one_line_and_leaves_no_half_file(self):
        mount = self.dir / "tiny"
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount],
                          capture_output=True).returncode:
            self.skipTest("mounting a small file system needs root")
        self.addCleanup(subprocess.run, ["umount", "-l", str(mount)], capture_output=True)
        result = self.run_program("train", *SMALL, "--steps", 2, "--output", mount, code=1)
        self.assertIn("space", result.stderr.splitlines()[-1].lower())
        for file in mount.glob("*/*"):
            if file.suffix == ".safetensors":
                self.assert_whole(file)
        self.assertEqual([path for path in mount.glob("*/*") if "tmp" in path.name], [])

    def assert_whole(self, file):
        data = file.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + length])
        ends = [
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        ]
        self.assertEqual(len(data), 8 + length + max(ends), file)

    # --- devices ----------------------------------------------------------------------------------

    def test_the_doctor_names_the_machine_and_what_to_do(self):
        findings = {
            f["topic"]: f
            for f in json.loads(self.run_program("train", "--doctor", "--json").stdout)
        }
        for topic in ("processor", "instructions", "threads", "memory", "libraries", "driver",
                      "nvcc", "CUDA build", "cifar10"):
            self.assertTrue(findings[topic]["found"], topic)
        text = self.run_program("train", "--doctor", env={"PASSBAND_DATA": str(self.dir)}).stdout
        self.assertIn("threads", text)
        self.assertRegex(text, r"(?m)^--device auto +\S")

    def test_the_level_of_instructions_can_be_capped(self):
        capped = {"PASSBAND_ISA": "generic"}
        text = self.run_program("train", "--doctor", env=capped).stdout
        self.assertRegex(text, r"(?m)^instructions +(generic$|\w+, but kernels run at generic)")
        measured = json.loads(
            self.run_program("bench", "--train", "C.CM:width=8,head_dim=8", "--batch-size", 2,
                             "--steps", 1, "--json", env=capped).stdout)
        self.assertEqual(measured["isa"], "generic")

    def test_an_unknown_level_of_instructions_is_one_line(self):
        wrong = {"PASSBAND_ISA": "avx3"}
        for program, *args in (("train", *SMALL, "--steps", 1), ("train", "--doctor"),
                               ("bench", "--op", "softmax"), ("analyze", "--run", "last")):
            self.assertRegex(self.message(program, *args, env=wrong),
                             "^" + program + ": PASSBAND_ISA=avx3 .* generic, avx2, avx512")

    def test_a_device_that_is_not_there_is_one_line(self):
        self.assertIn("cuda-emulated", self.message("train", *SMALL, "--steps", 1, "--device",
                                                    "gpu"))
        if not list(Path("/dev").glob("nvidia[0-9]*")):
            self.assertIn("cmake --preset cuda",
                          self.message("train", *SMALL, "--steps", 1, "--device", "cuda"))

    def test_the_emulated_device_gives_the_losses_of_the_processor(self):
        if not (BUILD / "train-emulated").exists():
            self.skipTest("train-emulated is not built")
        mixed = [
            "--crop-mode", "zero", "--cutout", 6, "--mixup", 0.5, "--cutmix", 1, "--clip-grad", 1,
            "--model-ema"
        ]
        for extra in ([], mixed):
            losses = []
            for device in ("cpu", "cuda-emulated"):
                self.train("--model", "C.CM:width=8,head_dim=8", "--data", "shapes",
                           "--shapes-train", 64, "--shapes-test", 8, "--steps", 3, "--batch-size",
                           4, "--device", device, *extra)
                losses.append([loss for _, loss in self.losses(self.newest(), ("train", "test"))])
            self.assertEqual(len(losses[0]), 4)  # of the steps, and of the test pictures
            for cpu, emulated in zip(*losses):
                self.assertAlmostEqual(cpu, emulated, delta=1e-4)

    def test_the_environment_sets_the_threads_that_no_option_sets(self):
        one = {"OMP_NUM_THREADS": "1"}
        self.assertIn(" 1 thread,", self.train(*SMALL, "--steps", 1, env=one).stderr)
        self.assertIn(" 2 threads",
                      self.train(*SMALL, "--steps", 1, "--threads", 2, env=one).stderr)

    def test_a_run_of_few_steps_evaluates_few_pictures_and_says_so(self):
        few = self.train(*SMALL, "--steps", 2)
        self.assertIn("(100 of 200 test pictures)", few.stderr)
        self.assertIn("of 100 test pictures, best", few.stdout)
        self.assertNotIn("test pictures)",
                         self.train(*SMALL, "--steps", 2, "--eval-pictures", 200).stderr)
        self.assertIn("(7 of 200 test pictures)",
                      self.train(*SMALL, "--steps", 2, "--eval-pictures", 7).stderr)

    # --- folders of pictures ----------------------------------------------------------------------

    def write_png(self, path, grey):
        def chunk(kind, data):
            return (struct.pack(">I", len(data)) + kind + data +
                    struct.pack(">I", zlib.crc32(kind + data)))

        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" +
                         chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)) +
                         chunk(b"IDAT", zlib.compress((b"\0" + bytes([grey] * 8)) * 8)) +
                         chunk(b"IEND", b""))

    def write_folder(self, splits):
        for split, count in splits.items():
            for label, kind in enumerate(("cat", "dog")):
                for i in range(count):
                    self.write_png(self.dir / "d" / split / kind / f"{i}.png", 200 * label + i)
        return ["--model", "C.C:width=8", "--img-size", 32, "--batch-size", 4, "--epochs", 2,
                "--data", self.dir / "d"]

    def test_val_chooses_the_best_weights_and_test_is_reported_once(self):
        folder = self.write_folder({"train": 6, "valid": 4, "test": 3})
        (self.dir / "d" / "test" / "cat" / "0.png").unlink()
        result = self.train(*folder)
        self.assertEqual(result.stderr.splitlines()[0],
                         f"{self.dir}/d: 2 classes; train 12 pictures, valid 8, test 5; valid "
                         "chooses the best weights, test is looked at once")
        self.assertIn("val loss", result.stderr)
        self.assertIn(" % of 8 val pictures, best ", result.stdout)
        self.assertRegex(result.stdout, r"test top-1 [0-9.]+ % on 5 pictures, by the weights of ")
        run = self.newest()
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual([line["images"] for line in lines if line["split"] == "val"], [8])
        self.assertEqual([line["images"] for line in lines if line["split"] == "test"], [5])
        report = self.run_program("analyze", "--run", run, "--only", "confusion")
        self.assertIn("train 12 pictures, valid 8, test 5", report.stderr.splitlines()[0])
        summary = json.loads((run / "report" / "summary.json").read_text())
        self.assertIn("confusion", summary["sections"])

    def test_a_share_of_every_class_is_held_out(self):
        folder = self.write_folder({"": 10})
        self.assertIn("--val-split 0.1", self.message("train", *folder, code=3))
        self.assertIn("all 16 pictures, val 4", self.train(*folder, "--val-split", 0.2).stderr)
        shown = self.run_program("analyze", "--run", self.newest(), "--only", "confusion")
        self.assertIn("all 16 pictures, val 4", shown.stderr)
        result = json.loads(self.train(*SHAPES, "--model", "C.C:width=8", "--steps", 2, "--json",
                                       "--val-split", 0.1).stdout)
        self.assertEqual(result["test_pictures"], 200)
        self.assertAlmostEqual(result["val_pictures"], 64, delta=5)  # rounded in each class

    def test_bad_pictures_are_named_together_or_left_out(self):
        folder = self.write_folder({"train": 6, "val": 4})
        (self.dir / "d" / "train" / "cat" / "zero.jpg").write_bytes(b"")
        (self.dir / "d" / "val" / "dog" / "web.jpg").write_bytes(b"RIFF\x24\0\0\0WEBPVP8 ")
        text = self.message("train", *folder, code=3)
        for part in ("2 unreadable pictures", "cat/zero.jpg", "dog/web.jpg", "WebP",
                     "--skip-bad-pictures"):
            self.assertIn(part, text)
        left = "left out: unreadable: 2 (train/cat/zero.jpg, val/dog/web.jpg)"
        self.assertIn(left, self.train(*folder, "--skip-bad-pictures").stderr)
        self.assertIn(left, self.run_program("analyze", "--run", self.newest(), "--only",
                                             "confusion").stderr)

    def test_bench_measures_the_loader_beside_stb_image(self):
        self.write_folder({"train": 6, "val": 4})
        result = json.loads(self.run_program("bench", "--loader", self.dir / "d", "--img-size", 32,
                                             "--threads", 2, "--json").stdout)
        self.assertEqual((result["pictures"], result["img_size"]), (12, 32))
        self.assertEqual([(row["stage"], row["threads"]) for row in result["results"]],
                         [("stb decode", 1), ("decode", 1), ("decode + augment", 1), ("loader", 1),
                          ("decode", 2), ("decode + augment", 2), ("loader", 2)])
        self.assertTrue(all(row["pictures_per_core_s"] > 0 for row in result["results"]))
        self.assertEqual(self.message("bench", "--loader", "./nowhere", code=1),
                         "bench: ./nowhere: no such folder")

    def test_a_path_without_a_folder_is_missing_data(self):
        self.assertEqual(self.message("train", "--data", "./no/such/folder", code=3),
                         "train: ./no/such/folder: no such folder")

    # --- analysis ---------------------------------------------------------------------------------

    def test_weights_where_nothing_can_be_written_get_a_report_elsewhere(self):
        self.train(*SMALL, "--steps", 1)
        with open(self.newest() / "last.safetensors", "rb") as weights:
            result = subprocess.run(
                [BUILD / "analyze", "--weights", f"/proc/self/fd/{weights.fileno()}", "--model",
                 SMALL[1], "--data", "shapes", "--only", "confusion"], cwd=self.dir, text=True,
                capture_output=True, timeout=240, pass_fds=[weights.fileno()])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("the report goes to", result.stderr)
        self.assertEqual(len(list(self.dir.glob("*-report/index.html"))), 1)

    def test_the_two_commands_make_a_report(self):
        self.train(*SMALL, "--steps", 12)
        run = self.newest()
        names = "cka,fourier,variance,distance,rollout,calibration"
        out = self.run_program("analyze", "--run", run, "--only", names, "--images", 64,
                               "--json").stdout
        summary = json.loads(out)
        for name in names.split(","):
            self.assertIn(name, json.dumps(summary))
            self.assertTrue((run / "report" / "sections" / f"{name}.json").exists(), name)
        page = (run / "report" / "index.html").read_text()
        self.assertNotIn("http://", page.replace("http://www.w3.org", ""))
        self.assertTrue((run / "report" / "figures" / "cka.svg").exists())
        again = self.run_program("analyze", "--run", run, "--only", "variance", "--images", 64)
        self.assertIn("kept from before", again.stderr)
        self.assertIn('id="cka"', page)

    def test_two_runs_and_random_weights_stand_side_by_side(self):
        self.train(*SMALL, "--steps", 4)
        first = self.newest()
        self.train("--model", "C.C:width=8", *SHAPES, "--batch-size", 32, "--steps", 4)
        self.run_program("analyze", "--run", first, "--against", self.newest(), "--untrained",
                         "--only", "cka,fourier,rollout", "--images", 64)
        self.assertIn("untrained", (first / "report" / "index.html").read_text())

    def test_corrupt_and_mismatching_weights_are_named(self):
        self.train(*SMALL, "--steps", 1)
        run = self.newest()
        good = (run / "best.safetensors").read_bytes()
        (self.dir / "cut.safetensors").write_bytes(good[:-7])
        (self.dir / "other.safetensors").write_bytes(good)
        arguments = ["analyze", "--model", "resnet18", *SHAPES[:2], "--weights"]
        self.assertIn("cut.safetensors",
                      self.message(*arguments, self.dir / "cut.safetensors", code=3))
        self.assertIn("other.safetensors",
                      self.message(*arguments, self.dir / "other.safetensors", code=3))

    def test_analyses_are_listed(self):
        listed = json.loads(self.run_program("analyze", "--list", "--json").stdout)
        self.assertIn("cka", [entry["name"] for entry in listed])
        self.assertLessEqual({"name", "question", "cost", "options"}, set(listed[0]))


if __name__ == "__main__":
    unittest.main()
