#!/usr/bin/env python3
"""Installing what is missing (.cmake/deps.sh), with package managers that only write down what
they are told. Usage: test_deps.py"""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / ".cmake" / "deps.sh"
TOOLS = ("bash", "env", "mktemp", "rm", "tail")
COMMANDS = ("g++", "cmake", "ninja", "python3", "curl", "mpicc", "mpiexec.mpich", "gdb")
HEADERS = ("kissfft/kiss_fftr.h", "eigen3/Eigen/Core", "lapacke.h",
           "stb/stb_image.h", "jpeglib.h", "httplib.h", "CLI/CLI.hpp", "nlohmann/json.hpp",
           "toml++/toml.h", "fmt/core.h", "doctest/doctest.h")


class Deps(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.bin, self.calls = self.root / "bin", self.root / "calls"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        for command in COMMANDS:
            self.command(command, "exit 0")
        for header in HEADERS:
            self.file("usr/include/" + header)
        self.file("etc/ssl/certs/ca-certificates.crt")
        self.command("id", "echo 0")

    def command(self, name, body):
        (self.bin / name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        (self.bin / name).chmod(0o755)

    def file(self, name):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).touch()

    def manager(self, name, body=""):
        self.command(name, f'echo "{name} $*" >>{self.calls}\n{body}')

    def remove(self, *names):
        for name in names:
            (self.bin / name if name in COMMANDS else self.root / name).unlink()

    def deps(self, *args, code=0):
        result = subprocess.run([SCRIPT, *args], text=True, capture_output=True,
                                env={"PATH": str(self.bin), "PASSBAND_DEPS_ROOT": str(self.root)})
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def called(self):
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def test_nothing_missing(self):
        for name in ("apt-get", "dnf", "pacman"):
            self.manager(name)
            result = self.deps()
            self.assertEqual((result.stdout, result.stderr, self.called()), ("", "", []))

    def test_header_in_another_place(self):
        self.manager("dnf")
        self.remove("usr/include/lapacke.h", "etc/ssl/certs/ca-certificates.crt")
        self.file("usr/include/lapacke/lapacke.h")
        self.file("etc/pki/tls/certs/ca-bundle.crt")
        self.deps("--check")

    def test_what_can_be_done_without_is_installed_but_not_missing(self):
        self.manager("apt-get")
        self.remove("usr/include/jpeglib.h")
        self.deps("--check")
        self.deps()
        self.assertEqual(self.called(),
                         ["apt-get -qq install -y --no-install-recommends libjpeg-dev"])

    def test_the_second_mpi_is_debian_s_alone(self):
        self.remove("mpiexec.mpich")
        self.deps("--check")
        for name, calls in (("pacman", []), ("dnf", []), ("apt-get", [
                "apt-get -qq install -y --no-install-recommends libmpich-dev"])):
            self.manager(name)
            self.deps()
            self.assertEqual(self.called(), calls)

    def test_each_manager_by_its_names(self):
        self.remove("g++", "ninja", "usr/include/toml++/toml.h", "usr/include/lapacke.h")
        wanted = {
            "pacman": "pacman -S --needed --noconfirm gcc ninja lapacke tomlplusplus",
            "dnf": "dnf -q install -y --setopt=install_weak_deps=False gcc-c++ ninja-build "
                   "lapack-devel tomlplusplus-devel",
            "apt-get": "apt-get -qq install -y --no-install-recommends g++ ninja-build "
                       "liblapacke-dev libtomlplusplus-dev",
        }
        for name, call in wanted.items():  # each is preferred to those before it
            self.manager(name)
            self.assertEqual(self.deps("--check", code=1).stdout, "")
            self.assertEqual(self.called(), [])
            self.deps()
            self.assertEqual(self.called(), [call])
            self.calls.unlink()

    def test_refreshes_its_lists_once(self):
        self.remove("cmake")
        self.manager("pacman", f"[[ $1 == -Syu || $(tail -n 2 {self.calls}) == *-Syu* ]]")
        self.deps()
        install = "pacman -S --needed --noconfirm cmake"
        self.assertEqual(self.called(), [install, "pacman -Syu --noconfirm", install])

    def test_installs_the_others_of_a_package_that_the_system_lacks(self):
        self.remove("cmake", "usr/include/toml++/toml.h")
        self.manager("apt-get", '[[ "$*" != *tomlplusplus* ]]')
        self.manager("apt-cache", '[[ "$*" != *tomlplusplus* ]]')
        text = self.deps(code=1).stderr
        self.assertEqual(self.called()[-1], "apt-get -qq install -y --no-install-recommends cmake")
        self.assertIn("no package of: libtomlplusplus-dev", text)
        self.assertIn("headers do", text)

    def test_says_why_it_failed(self):
        self.remove("cmake")
        self.manager("dnf", "echo No match for argument; exit 1")
        text = self.deps(code=1).stderr
        self.assertIn("No match for argument", text)
        self.assertIn("as root: dnf install cmake", text)

    def test_another_system(self):
        self.remove("cmake", "usr/include/fmt/core.h")
        text = self.deps(code=1).stderr
        self.assertIn("cmake libfmt-dev (Debian's names)", text)

    def test_needs_root(self):
        self.remove("cmake")
        self.manager("dnf")
        self.command("id", "echo 1000")
        self.assertIn("needs root; as root, run: dnf install cmake", self.deps(code=1).stderr)
        self.command("sudo", '[ "$1" = -n ] || exec "$@"')
        self.deps()
        self.assertEqual(len(self.called()), 1)


if __name__ == "__main__":
    unittest.main()
