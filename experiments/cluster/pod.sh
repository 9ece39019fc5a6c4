#!/usr/bin/env bash
# What every pod of kubernetes-job.yaml does: it lets the others in by ssh; pod 0 starts the
# training on all of them, anew or from where its run stands, and lets them end with it.
set -euo pipefail
mkdir -p ~/.ssh /run/sshd
install -m 600 /etc/passband-ssh/id_ed25519 ~/.ssh/id_ed25519
install -m 600 /etc/passband-ssh/id_ed25519.pub ~/.ssh/authorized_keys
printf 'Host *\n  StrictHostKeyChecking no\n  LogLevel ERROR\n' >~/.ssh/config
ssh-keygen -A >/dev/null
/usr/sbin/sshd

index=${JOB_COMPLETION_INDEX:?is set by an Indexed Job}
if [ "$index" != 0 ]; then
  # pod 0 writes the file when all is done
  until [ -e /runs/finished ]; do sleep 5; done
  exit 0
fi

rm -f /runs/finished
hosts=()
for ((i = 0; i < PODS; ++i)); do
  host=passband-$i.passband
  until ssh -o ConnectTimeout=2 "$host" true 2>/dev/null; do sleep 1; done
  hosts+=("$host")
done
run=$(find /runs -mindepth 1 -maxdepth 1 -name '2*' | sort | tail -n 1)
start=(mpirun --bind-to none --map-by node -n "$PODS" --host "$(IFS=,; echo "${hosts[*]}")"
  -x OMP_NUM_THREADS="${THREADS:-8}" /passband/build/train)
if [ -n "$run" ] && [ -e "$run/optim.safetensors" ]; then
  "${start[@]}" --resume "$run"
else
  "${start[@]}" --output /runs "$@"
fi
touch /runs/finished
