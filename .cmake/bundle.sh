#!/usr/bin/env bash
# Packs the committed sources and the packages they need into one archive, for a machine without
# network or root.
#   usage: bundle.sh OUTPUT.tar.gz      there: tar xf OUTPUT.tar.gz && make -C passband gpu-check
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
output=$(realpath -m "${1:?usage: bundle.sh OUTPUT.tar.gz}")
packages="libdnnl-dev libdnnl2 ocl-icd-libopencl1 libkissfft-dev libkissfft-float131 libeigen3-dev
  libstb-dev libstb0 libjpeg62-turbo-dev libjpeg62-turbo libcli11-dev nlohmann-json3-dev
  libtomlplusplus-dev libtomlplusplus3 libfmt-dev
  libfmt9 doctest-dev liblapacke-dev liblapacke libtmglib3 liblapack3 libblas3 libgfortran5
  libquadmath0"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/debs" "$work/passband" "$(dirname "$output")"
# shellcheck disable=SC2086  # a list of words
(cd "$work/debs" && apt-get -qq download $packages)
for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/passband/packages"; done
# What installing would link: Debian lets several packages offer these two.
(cd "$work"/passband/packages/usr/lib/x86_64-linux-gnu &&
  ln -s lapack/liblapack.so.3 blas/libblas.so.3 .)
rm -rf "$work/passband/packages/usr/share/doc"
git -C "$root" archive HEAD | tar -x -C "$work/passband"
tar -C "$work" -czf "$output" passband
echo "$output: $(du -h "$output" | cut -f1)"
echo "there: tar xf ${output##*/} && make -C passband gpu-check"
