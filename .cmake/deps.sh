#!/usr/bin/env bash
# Installs the packages that are missing with apt, dnf or pacman, and does nothing when none is.
#   usage: deps.sh [--check]      --check only says what is missing, and fails if anything is
#   PASSBAND_DEPS_ROOT: the folder to look in instead of / (the tests')
set -euo pipefail
root=${PASSBAND_DEPS_ROOT:-}

# what shows that it is there (a command, header or file; | between places where it may lie), and
# the packages of Debian and Ubuntu, Fedora, Arch (one where all have the same, - where there is
# none); after a ?
# what can be done without, and is installed all the same
needed="
  g++                                  g++                  gcc-c++            gcc
  cmake                                cmake
  ninja                                ninja-build          ninja-build        ninja
  python3                              python3              python3            python
  kissfft/kiss_fftr.h                  libkissfft-dev       kissfft-devel      kissfft
  eigen3/Eigen/Core                    libeigen3-dev        eigen3-devel       eigen
  lapacke.h|lapacke/lapacke.h          liblapacke-dev       lapack-devel       lapacke
  stb/stb_image.h                      libstb-dev           stb_image-devel    stb
  ?jpeglib.h                           libjpeg-dev          libjpeg-turbo-devel  libjpeg-turbo
  ?mpicc.openmpi|mpicc                 libopenmpi-dev       openmpi-devel      openmpi
  ?mpiexec.mpich                       libmpich-dev         -                  -
  ?httplib.h                           libcpp-httplib-dev   cpp-httplib-devel  cpp-httplib
  ?gdb                                 gdb
  CLI/CLI.hpp                          libcli11-dev         cli11-devel        cli11
  nlohmann/json.hpp                    nlohmann-json3-dev   json-devel         nlohmann-json
  toml++/toml.h                        libtomlplusplus-dev  tomlplusplus-devel tomlplusplus
  fmt/core.h                           libfmt-dev           fmt-devel          fmt
  doctest/doctest.h                    doctest-dev          doctest-devel      doctest
  curl                                 curl
  /etc/ssl/certs/ca-certificates.crt|/etc/pki/tls/certs/ca-bundle.crt  ca-certificates
"

present() {
  local place
  for place in ${1//|/ }; do
    if command -v "$place" >/dev/null || [ -e "$root/usr/include/$place" ] ||
      [ -e "$root/usr/local/include/$place" ] || [ -e "$root$place" ]; then
      return 0
    fi
  done
  return 1
}

manager=none
for name in apt-get dnf pacman; do
  if command -v $name >/dev/null; then
    manager=$name
    break
  fi
done

missing=()
while read -r probe debian fedora arch; do
  [[ $probe != \?* || ${1:-} != --check ]] || continue
  if [ -n "$probe" ] && ! present "${probe#\?}"; then
    case $manager in
      dnf) package=${fedora:-$debian} ;;
      pacman) package=${arch:-$debian} ;;
      *) package=$debian ;;
    esac
    [ "$package" = - ] || missing+=("$package")
  fi
done <<<"$needed"
[ ${#missing[@]} -gt 0 ] || exit 0

case $manager in
  apt-get)
    refresh=(env DEBIAN_FRONTEND=noninteractive apt-get -qq update)
    install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends)
    known=(apt-cache show)
    line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" ;;
  dnf)
    refresh=(dnf -q makecache)
    install=(dnf -q install -y --setopt=install_weak_deps=False)
    known=(dnf -q info)
    line="dnf install ${missing[*]}" ;;
  pacman)
    # Arch supports no new package in an old system: refreshing means to upgrade it all.
    refresh=(pacman -Syu --noconfirm)
    install=(pacman -S --needed --noconfirm)
    known=(pacman -Si)
    line="pacman -Syu --needed ${missing[*]}" ;;
  none)
    echo "Missing: ${missing[*]} (Debian's names). Install your system's packages of them." >&2
    exit 1 ;;
esac
if [ "${1:-}" = --check ]; then
  echo "Missing: ${missing[*]}. Run 'make deps', or as root: $line" >&2
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
install() { "${as_root[@]}" "${install[@]}" "$@" >>"$log" 2>&1; }
if install "${missing[@]}" ||
  { "${as_root[@]}" "${refresh[@]}" >>"$log" 2>&1 && install "${missing[@]}"; }; then
  exit 0
fi

# One package that the system does not know keeps it from installing the others.
packaged=() unknown=()
for package in "${missing[@]}"; do
  if "${known[@]}" "$package" >/dev/null 2>&1; then
    packaged+=("$package")
  else
    unknown+=("$package")
  fi
done
if [ ${#packaged[@]} -gt 0 ] && [ ${#unknown[@]} -gt 0 ] && install "${packaged[@]}"; then
  echo "This system has no package of: ${unknown[*]}. Install from the sources what it holds." >&2
  case "${unknown[*]}" in
    *tomlplusplus*)
      echo "Of toml++ the headers do: its folder include/toml++ belongs in /usr/local/include." >&2
      ;;
  esac
  exit 1
fi
tail -n 15 "$log" >&2
echo "The packages could not be installed. By hand, as root: $line" >&2
exit 1
