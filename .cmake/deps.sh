#!/usr/bin/env bash
# Installs the Debian packages that are missing, and does nothing when none is.
#   usage: deps.sh [--check]      --check only says what is missing, and fails if anything is
set -euo pipefail

# package, and a command, header or file that shows it is there
needed="
  g++                  g++
  cmake                cmake
  ninja-build          ninja
  python3              python3
  libdnnl-dev          oneapi/dnnl/dnnl.hpp
  libkissfft-dev       kissfft/kiss_fftr.h
  libeigen3-dev        eigen3/Eigen/Core
  liblapacke-dev       lapacke.h
  libstb-dev           stb/stb_image.h
  libcli11-dev         CLI/CLI.hpp
  nlohmann-json3-dev   nlohmann/json.hpp
  libtomlplusplus-dev  toml++/toml.h
  libfmt-dev           fmt/core.h
  doctest-dev          doctest/doctest.h
  curl                 curl
  ca-certificates      /etc/ssl/certs/ca-certificates.crt
"

present() {
  command -v "$1" >/dev/null || [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ] ||
    [ -e "$1" ]
}

missing=()
while read -r package probe; do
  [ -z "$package" ] || present "$probe" || missing+=("$package")
done <<<"$needed"
[ ${#missing[@]} -gt 0 ] || exit 0

line="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "${1:-}" = --check ]; then
  echo "Missing: ${missing[*]}. Run 'make deps', or as root: $line" >&2
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]} (Debian's names). Install your system's packages of them." >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    echo "Missing: ${missing[*]}. Installing needs root; as root, run: $line" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "Installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >>"$log" 2>&1; }
install() { apt install -y --no-install-recommends "${missing[@]}"; }
if ! install && ! { apt update && install; }; then
  tail -n 15 "$log" >&2
  echo "The packages could not be installed. By hand, as root: apt-get update && $line" >&2
  exit 1
fi
