#!/usr/bin/env bash
# What `make run` does once the programs are built: get CIFAR-10, train AlterNet by the quick
# recipe, write its report. What an earlier call finished is reused; a training run that was
# interrupted is resumed.
#   usage: quick.sh [BUILD_FOLDER]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(realpath "${1:-$root/build}")
cd "$root"

data=cifar10
if ! data/fetch.sh cifar10; then
  data=shapes
  echo "CIFAR-10 cannot be had from here: training on the built-in shapes data set instead."
fi

# The newest whole-length quick run of this model on this data, if there is one.
run=
for candidate in $(ls -dt runs/*-alternet-"$data"*/ 2>/dev/null); do
  config=$candidate/config.toml
  if grep -q '^recipe = "quick"' "$config" && grep -q '^steps = 0' "$config" &&
     grep -q '^\[\[session' "$config" && [ -f "$candidate/optim.safetensors" ]; then
    run=$(basename "$candidate")
    break
  fi
done

if [ -n "$run" ]; then
  "$build/train" --resume "$run"
else
  "$build/train" --model alternet --data "$data"
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
