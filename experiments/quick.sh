#!/usr/bin/env bash
# What `make run` does once the programs are built: get CIFAR-10, train AlterNet by the quick
# recipe for so many minutes, write its report. What an earlier call for as many minutes finished is
# reused; a training run that was interrupted is resumed.
#   usage: quick.sh [BUILD_FOLDER [MINUTES]]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(realpath "${1:-$root/build}")
minutes=${2:-5}
cd "$root"

data=cifar10
if ! data/fetch.sh cifar10; then
  data=shapes
  echo "CIFAR-10 cannot be had from here: training on the built-in shapes data set instead."
fi

# The newest run of such a call, if there is one.
run=
for candidate in $(ls -dt runs/*-alternet-"$data"*/ 2>/dev/null); do
  config=$candidate/config.toml
  if grep -q "^command = .* --model alternet --data $data --minutes $minutes\"" "$config" &&
     [ -f "$candidate/optim.safetensors" ]; then
    run=$(basename "$candidate")
    break
  fi
done

if [ -n "$run" ]; then
  "$build/train" --resume "$run"
else
  "$build/train" --model alternet --data "$data" --minutes "$minutes"
  run=$(basename "$(realpath runs/last)")
fi

report=runs/$run/report/index.html
if [ "$report" -nt "runs/$run/last.safetensors" ]; then
  echo "The report is up to date."
else
  "$build/analyze" --run "$run"
fi
echo
echo "Report: $root/$report"
