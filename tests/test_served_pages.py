#!/usr/bin/env python3
"""Pages that the programs serve: who may ask, how they end, and what a browser makes of them.
usage: test_served_pages.py BUILD_DIR
Exits with 77 where the build serves no pages. Without Chromium the browser's part is left out."""

import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from chromium import SKIPPED, Chromium, find_chromium
from programs import BUILD, execute

MODEL = "CL.CM:width=8,head_dim=8,scope=5"
SHAPES = ["--data", "shapes", "--shapes-train", 64, "--shapes-test", 40]
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=([0-9a-f]{32})")


class Served:
    """A program that serves, until the block of a `with` ends; `stream` tells its address."""

    def __init__(self, program, *args, folder, stream="stdout"):
        self.log = tempfile.TemporaryFile("w+")
        outputs = {"stdout": self.log, "stderr": self.log, stream: subprocess.PIPE}
        self.process = subprocess.Popen([BUILD / program, *map(str, args)], cwd=folder, text=True,
                                        **outputs)
        self.stream = getattr(self.process, stream)
        self.said = ""
        end = time.time() + 200
        while not (found := ADDRESS.search(self.said)):
            if not select.select([self.stream], [], [], max(0, end - time.time()))[0]:
                self.process.kill()
                raise AssertionError(f"no address: {self.said}")
            piece = os.read(self.stream.fileno(), 4096).decode()
            if not piece:
                self.log.seek(0)
                raise AssertionError(f"ended without an address: {self.said} {self.log.read()}")
            self.said += piece
        self.address, self.port, self.token = found.group(0), int(found.group(1)), found.group(2)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.stream.close()
        self.log.close()

    def interrupted(self, seconds=60):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=seconds)

    def ask(self, path="/", method="GET", body=None, token=None, headers=None):
        """(status, text)"""
        token = self.token if token is None else token
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}?token={token}",
                                         data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def violations(browser):
    """What axe-core finds in the page, where AXE_CORE names its file; it is no part of the page,
    whose rules would refuse it."""
    file = os.environ.get("AXE_CORE", "")
    if not file:
        return []
    browser.send("Page.setBypassCSP", {"enabled": True})
    browser.evaluate(Path(file).read_text(encoding="utf-8") + "; 0")
    found = browser.evaluate("""axe.run().then(result => result.violations.map(
        v => v.id + ': ' + v.help + ' ' + v.nodes.slice(0, 3).map(n => n.html).join(' | ')))""")
    browser.send("Page.setBypassCSP", {"enabled": False})
    browser.events = []
    return found


def halved(source, target):
    """Writes a file of weights whose matrices are numbers of 16 bits, as a page holds them."""
    raw = source.read_bytes()
    length, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    data = bytearray(raw[8 + length:])
    for name, entry in header.items():
        if name == "__metadata__" or len(entry["shape"]) < 2:
            continue
        begin, end = entry["data_offsets"]
        count = (end - begin) // 4
        numbers = struct.unpack(f"<{count}f", data[begin:end])
        rounded = struct.unpack(f"<{count}e", struct.pack(f"<{count}e", *numbers))
        data[begin:end] = struct.pack(f"<{count}f", *rounded)
    for key in ("passband_checksum", "passband_checksum_of"):
        header.get("__metadata__", {}).pop(key, None)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    target.write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))


class Explorer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = Path(tempfile.mkdtemp(prefix="passband-served-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        said = execute("train", "--model", MODEL, *SHAPES, "--batch-size", 32, "--epochs", 2,
                       "--warmup-epochs", 0, "--json", "--output", cls.dir, folder=cls.dir).stdout
        run = Path(json.loads(said)["run"])
        cls.weights = cls.dir / "halved.safetensors"
        halved(run / "last.safetensors", cls.weights)
        cls.subject = ["--model", MODEL, "--weights", cls.weights, "--data", "shapes",
                       "--images", 20, "--output", cls.dir / "report"]

    def serve(self):
        return Served("analyze", *self.subject, "--serve", folder=self.dir)

    def test_who_may_ask(self):
        with self.serve() as served:
            self.assertEqual(served.ask()[0], 200)
            self.assertEqual(served.ask(token="")[0], 403)
            self.assertEqual(served.ask(token="0" * 32)[0], 403)
            here = f"127.0.0.1:{served.port}"
            for headers, status in (({"Origin": "http://evil.example"}, 403),
                                    ({"Origin": "null"}, 403),
                                    ({"Origin": f"http://{here}"}, 200),
                                    ({"Host": "evil.example"}, 403),
                                    ({"Host": f"localhost:{served.port}"}, 200)):
                self.assertEqual(served.ask(headers=headers)[0], status, headers)
            self.assertEqual(served.ask("/pass", "POST", b"{}", token="1")[0], 403)
            for method in ("PUT", "DELETE", "OPTIONS"):
                self.assertEqual(served.ask(method=method)[0], 405, method)
            self.assertEqual(served.ask("/etc/passwd")[0], 404)
            self.assertEqual(served.ask("/../../etc/passwd")[0], 404)
            status, text = served.ask("/pass", "POST", b'{"net": 3}')
            self.assertEqual((status, "net 3 is not below 1" in text), (400, True), text)
            self.assertEqual(served.ask("/pass", "POST", b"x" * (9 << 20))[0], 413)
            listening = subprocess.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], text=True,
                                       capture_output=True).stdout
            places = re.findall(rf" ([0-9A-F]+):{served.port:04X} 0+:0000 0A", listening)
            self.assertEqual(places, ["0100007F"])  # 127.0.0.1, and no other
            self.assertEqual(served.ask()[0], 200)

    def test_it_ends_when_it_is_told_to_whatever_readers_do(self):
        with self.serve() as served, self.serve() as other:
            self.assertNotEqual(served.port, other.port)
            self.assertEqual(other.ask()[0], 200)
            self.assertEqual(served.ask(token=other.token)[0], 403)
            slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(6)]
            slow[0].sendall(b"GET / HTTP/1.1\r\nHost: x")  # and never the rest
            self.assertEqual(served.interrupted(), 130)
            self.assertEqual(other.interrupted(), 130)
            for connection in slow:
                connection.close()

    def test_connections_that_ask_nothing_keep_nobody_waiting(self):
        with self.serve() as served:
            silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(20)]
            for _ in range(3):
                self.assertEqual(served.ask()[0], 200)
            # Each holds a thread until it is closed for its silence: none had to be before.
            closed = [s for s in silent if select.select([s], [], [], 0)[0]]
            self.assertEqual(closed, [])
            for connection in silent:
                connection.close()

    def test_it_refuses_what_it_cannot_in_one_line(self):
        for words, said in ((["--explore", "--serve"], "give one of them"),
                            (["--serve", "--only", "cka"], "leave out --only"),
                            (["--serve", "--port", 0], "--port")):
            lines = execute("analyze", *self.subject, *words, folder=self.dir,
                            code=2).stderr.strip().splitlines()
            self.assertEqual(len(lines), 1, lines)
            self.assertIn(said, lines[0])

    def test_a_browser_gets_from_it_what_a_page_computes(self):
        binary = find_chromium()
        if not binary:
            self.skipTest("no Chromium")
        execute("analyze", *self.subject, "--explore", folder=self.dir)
        page = "file://" + str(self.dir / "report" / "explore.html")
        with Chromium(binary) as browser:
            browser.open(page)
            data = "explorer.app.data"
            edits = browser.evaluate(f"{data}.networks[0].effects.map(({{kind, path, number, heads,"
                                     " epsilon}) => ({kind, path, number, heads, epsilon}))")
            chosen = {edit["kind"]: edit for edit in edits}
            self.assertEqual(len(chosen), 8)
            tried = [[], *([edit] for edit in chosen.values()), list(chosen.values())]
            ask = "Array.from({length: 4}, (_, i) => explorer.logits(i, %s))"
            # every value, as its mean absolute value and its last number
            values = """(() => { const values = explorer.values(2, %s);
              values.forEach(value => { try { value.data; } catch { /* is asked for */ } });
              return values.map(({data}) => [data.reduce((s, v) => s + Math.abs(v), 0) /
                data.length, data[data.length - 1]]); })()"""
            expected = [browser.evaluate(ask % json.dumps(e)) for e in tried]
            expected_values = [browser.evaluate(values % json.dumps(e)) for e in tried]
            with self.serve() as served:
                self.check_browser(browser, served, tried, ask, values, expected, expected_values)

    def check_browser(self, browser, served, tried, ask, values, expected, expected_values):
        browser.open(served.address)
        drawn = "explorer.whenHere(() => explorer.app.draw()).then(() => document.%s)"
        said = browser.evaluate(drawn % "getElementById('status').textContent")
        self.assertRegex(said, r"^Of .+ says .+\(\d")
        worst = 0
        for e, logits, all_values in zip(tried, expected, expected_values):
            got = browser.evaluate(f"explorer.whenHere(() => {ask % json.dumps(e)})")
            pairs = [(a, b) for x, y in zip(got, logits) for a, b in zip(x, y)]
            if len(e) != 1:  # without edits, and with one of each kind
                got = browser.evaluate(f"explorer.whenHere(() => {values % json.dumps(e)})")
                self.assertEqual(len(got), len(all_values))
                pairs += [(a, b) for x, y in zip(got, all_values) for a, b in zip(x, y)]
            for a, b in pairs:
                worst = max(worst, abs(a - b) / max(1.0, abs(b)))
        self.assertLess(worst, 1e-3)
        print(f"served and computed in the page: within {worst:.1e}", file=sys.stderr)
        wrong = browser.evaluate("""(async () => {
          const {app} = explorer, wrong = [];
          for (const [i, block] of app.panes[0].blocks.entries())
            for (const layer of block.layers) {
              app.panes[0].set({block: i, layer: layer.site.path, channel: 1, head: 0, input: -1});
              await explorer.whenHere(() => app.draw());
              const text = document.querySelector('.layer').textContent;
              if (/NaN|undefined|they differ/.test(text)) wrong.push(layer.site.path + text);
            }
          for (let i = 0; i < explorer.guide.length; ++i) {
            const {options} = await explorer.whenHere(() => explorer.question(i));
            if (options.filter(o => o.right).length !== 1) wrong.push('step ' + (i + 1));
          }
          return wrong;
        })()""")
        self.assertEqual(wrong, [])
        # an edit by hand, and its effect over many pictures, which comes when it is asked for
        browser.evaluate("document.querySelector('.edit button').click()")
        said = browser.evaluate(drawn % "getElementById('status').textContent")
        self.assertIn("With 1 change", said)
        browser.evaluate("document.querySelector('.done [data-key^=measure]').click()")
        end = time.time() + 60
        while time.time() < end:
            text = browser.evaluate(drawn % "querySelector('.done').textContent")
            if "Over 20 pictures" in text:
                break
            time.sleep(0.1)
        self.assertIn("Over 20 pictures", text)
        self.assertEqual(browser.errors(), [])
        for width, dark in ((1440, False), (390, True)):
            browser.resize(width, 900, dark)
            browser.open(served.address)
            wide = browser.evaluate(drawn % "documentElement.scrollWidth")
            self.assertLessEqual(wide, width)
            self.assertEqual(violations(browser), [])
        # another page's script gets nothing
        browser.open("about:blank")
        got = browser.evaluate(f"fetch('{served.address}').then(a => a.status, () => 'refused')")
        self.assertEqual(got, "refused")
        self.assertEqual(served.interrupted(), 130)


class WithoutTheModule(unittest.TestCase):
    """What a build without cpp-httplib is: the program, and no module beside it."""

    def test_the_options_say_so_in_one_line_and_begin_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            said = execute("train", "--model", MODEL, *SHAPES, "--steps", 1, "--batch-size", 8,
                           "--json", "--output", f"{folder}/runs", folder=folder).stdout
            run = json.loads(said)["run"]
            for program, words in (("train", ["--model", MODEL, *SHAPES, "--steps", 1, "--live"]),
                                   ("analyze", ["--run", run, "--serve"])):
                alone = shutil.copy(BUILD / program, folder)
                ended = subprocess.run([alone, *map(str, words), "--output", f"{folder}/out"],
                                       cwd=folder, capture_output=True, text=True)
                self.assertEqual(ended.returncode, 2, ended.stderr)
                lines = ended.stderr.strip().splitlines()
                self.assertEqual(len(lines), 1, lines)
                self.assertIn("this build serves no pages: install cpp-httplib", lines[0])
                self.assertFalse(Path(folder, "out").exists())


def tensors_of(file):
    """The bytes of a file of weights behind its header."""
    raw = file.read_bytes()
    return raw[8 + struct.unpack("<Q", raw[:8])[0]:]


class Live(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-live-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def words(self, output, *more):
        return ["--model", MODEL, "--data", "shapes", "--shapes-train", 256, "--shapes-test", 64,
                "--batch-size", 32, "--warmup-epochs", 0, "--threads", 2,
                "--output", self.dir / output, *more]

    def run_of(self, output):
        return next(path for path in (self.dir / output).iterdir() if not path.is_symlink())

    def test_a_training_has_the_same_bits_whoever_looks(self):
        execute("train", *self.words("alone", "--epochs", 12), folder=self.dir)
        states = []
        with Served("train", *self.words("watched", "--epochs", 12, "--live"), folder=self.dir,
                    stream="stderr") as served:
            slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(3)]
            slow[0].sendall(b"GET /state?token=")  # asks, and never ends; the others say nothing
            while served.process.poll() is None:
                try:
                    status, text = served.ask("/state")
                    states.append(json.loads(text))
                    self.assertEqual(status, 200)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)  # it ends
            self.assertEqual(served.process.wait(), 0)
            for connection in slow:
                connection.close()
        alone, watched = self.run_of("alone"), self.run_of("watched")
        self.assertEqual(tensors_of(alone / "last.safetensors"),
                         tensors_of(watched / "last.safetensors"))
        self.assertGreater(len(states), 0)
        self.check_state(states[-1], watched)

    def check_state(self, state, run):
        """What the page is told is what the run wrote down."""
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        steps = {line["step"]: line for line in lines if line["split"] == "train"}
        told = state["curves"]["train"]
        for point in told:
            self.assertAlmostEqual(point["loss"], steps[point["step"]]["loss"])
            self.assertAlmostEqual(point["accuracy"], steps[point["step"]]["accuracy"])
        tested = [line for line in lines if line["split"] == "test"]
        for point, line in zip(state["curves"]["evaluations"], tested):
            self.assertAlmostEqual(point["top1"], line["top1"])
        self.assertEqual(state["spectra"][0]["epoch"], 0)
        self.assertEqual(len(state["layers"]), 3)
        for look in state["spectra"]:
            self.assertEqual([line[0] for line in look["layers"]], [0, 0, 0])
            self.assertTrue(all(len(line) > 2 for line in look["layers"]))
        pictures = state["pictures"]
        self.assertEqual(len(pictures["probabilities"]), 12)
        self.assertEqual(len(pictures["pixels"]), 12 * pictures["side"] ** 2 * 6)
        for row in pictures["probabilities"]:
            self.assertAlmostEqual(sum(row), 1, delta=0.01)

    def test_a_browser_watches_it(self):
        with Served("train", *self.words("long", "--epochs", 400, "--live"), folder=self.dir,
                    stream="stderr") as served:
            self.assertEqual(served.ask(token="0")[0], 403)
            elsewhere = {"Origin": "http://evil.example"}
            self.assertEqual(served.ask("/state", headers=elsewhere)[0], 403)
            self.assertEqual(served.ask("/metrics.jsonl")[0], 404)
            self.assertEqual(served.ask("/state", "POST", b"{}")[0], 404)
            if find_chromium():
                self.check_page(served)
            self.assertEqual(served.interrupted(), 130)

    def check_page(self, served):
        with Chromium(find_chromium()) as browser:
            for width in (1440, 390):
                browser.resize(width, 900)
                browser.open(served.address)
                end = time.time() + 60
                counted = "document.querySelectorAll('.charts svg polyline').length"
                while browser.evaluate(counted) < 10 and time.time() < end:
                    time.sleep(0.2)
                self.assertGreaterEqual(browser.evaluate(counted), 10)
                self.assertEqual(browser.evaluate("document.querySelectorAll('canvas').length"), 12)
                self.assertRegex(browser.evaluate("document.getElementById('status').textContent"),
                                 r"^Epoch \d+, step \d+: loss .+ right\.$")
                wide = browser.evaluate("document.documentElement.scrollWidth")
                self.assertLessEqual(wide, width)
                self.assertEqual(browser.errors(), [])
                self.assertEqual(violations(browser), [])

    def test_a_training_does_without_a_page_rather_than_not(self):
        refused = execute("train", *self.words("none", "--live", "--port", 70000), folder=self.dir,
                          code=2).stderr.strip().splitlines()
        self.assertEqual(len(refused), 1, refused)
        self.assertFalse((self.dir / "none").exists())


if __name__ == "__main__":
    if not (BUILD / "passband_http.so").exists():
        print("skipped: this build serves no pages (cpp-httplib is not installed)")
        sys.exit(SKIPPED)
    unittest.main()
