#!/usr/bin/env bash
# Two hosts on one machine: network namespaces with names of their own and a link of limited
# bandwidth between them. Runs a command on both by Open MPI, one process on each, over TCP.
#   usage: two_hosts.sh RATE COMMAND...         RATE as tc takes it (1gbit, 200mbit), or none
#   two_hosts.sh 200mbit build/train --model resnet --data shapes --steps 8 --profile
#   DELAY=1ms: each packet comes later by so much, where the kernel has netem; START=ssh: the
#   second host is entered by ssh, else by `ip netns exec`
# Needs root, iproute2 and Open MPI; with ssh, openssh-server too. Ends with 77 where namespaces or
# tbf are not allowed.
set -euo pipefail
rate=${1:?usage: two_hosts.sh RATE COMMAND...}
shift
id=$$
work=$(mktemp -d)

clean() {
  local pid
  for pid in $(ip netns pids "passband-$id-b" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
  ip netns del "passband-$id-a" 2>/dev/null || true
  ip netns del "passband-$id-b" 2>/dev/null || true
  rm -rf "$work"
}
trap clean EXIT
refused() {
  echo "two_hosts.sh: $1" >&2
  exit 77
}

ip netns add "passband-$id-a" 2>"$work/why" || refused "no network namespaces: $(cat "$work/why")"
ip netns add "passband-$id-b"
ip -n "passband-$id-a" link add eth0 type veth peer name eth0 netns "passband-$id-b" \
  2>"$work/why" || refused "no virtual link: $(cat "$work/why")"
for host in a b; do
  at=(-n "passband-$id-$host")
  ip "${at[@]}" link set lo up
  ip "${at[@]}" addr add "10.77.0.$([ $host = a ] && echo 1 || echo 2)/24" dev eth0
  ip "${at[@]}" link set eth0 up
  if [ -n "${DELAY:-}" ]; then
    limit=()
    [ "$rate" = none ] || limit=(rate "$rate")
    tc "${at[@]}" qdisc add dev eth0 root netem delay "$DELAY" "${limit[@]}" limit 100000 \
      2>"$work/why" || refused "no netem: $(cat "$work/why")"
  elif [ "$rate" != none ]; then
    tc "${at[@]}" qdisc add dev eth0 root tbf rate "$rate" burst 256kb latency 200ms \
      2>"$work/why" || refused "no tbf: $(cat "$work/why")"
  fi
done

# A command in a host; its name is the namespace's.
cat >"$work/enter" <<'ENTER'
#!/usr/bin/env bash
host=$1
shift
name=host-${host##*-}
exec ip netns exec "$host" unshare --uts bash -c 'hostname "$0"; exec "$@"' "$name" "$@"
ENTER
# What mpirun starts the other host's part by: ADDRESS COMMAND...
cat >"$work/agent" <<AGENT
#!/usr/bin/env bash
shift
exec "$work/enter" passband-$id-b bash -c "\$*"
AGENT
chmod +x "$work/enter" "$work/agent"
agent=$work/agent

if [ "${START:-}" = ssh ]; then
  ssh-keygen -q -t ed25519 -N '' -f "$work/key"
  ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
  install -m 600 "$work/key.pub" "$work/authorized_keys"
  mkdir -p /run/sshd
  "$work/enter" "passband-$id-b" /usr/sbin/sshd -h "$work/host_key" -o PidFile=none \
    -o AuthorizedKeysFile="$work/authorized_keys" -o StrictModes=no -o UsePAM=no \
    -o PermitRootLogin=prohibit-password
  agent="ssh -q -i $work/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
fi

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
set +e
"$work/enter" "passband-$id-a" mpirun --quiet --bind-to none --host 10.77.0.1,10.77.0.2 -n 2 \
  --mca plm_rsh_agent "$agent" --mca btl tcp,self --mca btl_tcp_if_include eth0 \
  --mca oob_tcp_if_include eth0 -x OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" "$@"
