#!/usr/bin/env bash
# Two hosts on one machine: network namespaces with names of their own and a link of limited
# bandwidth between them. Runs a command on both by Open MPI, one process on each, over TCP.
#   usage: two_hosts.sh RATE COMMAND...         RATE as tc takes it (1gbit, 200mbit), or none
#   two_hosts.sh 200mbit build/train --model resnet --data shapes --steps 8 --profile
#   DELAY=1: each packet comes so many milliseconds later, by netem, or where the kernel has none
#   by delay_line.py; START=ssh: the second host is entered by ssh, else by `ip netns exec`
# Needs root, iproute2 and Open MPI; with ssh, openssh-server too. Ends with 77 where namespaces or
# tbf are not allowed.
set -euo pipefail
rate=${1:?usage: two_hosts.sh RATE COMMAND...}
shift
id=$$
work=$(mktemp -d)

clean() {
  local pid
  [ -z "${line:-}" ] || kill "$line" 2>/dev/null || true
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
virtual_link() {
  ip -n "passband-$id-a" link add eth0 type veth peer name eth0 netns "passband-$id-b" \
    2>"$work/why" || refused "no virtual link: $(cat "$work/why")"
}
addresses() {
  local host
  for host in a b; do
    ip -n "passband-$id-$host" link set lo up
    ip -n "passband-$id-$host" addr add "10.77.0.$([ $host = a ] && echo 1 || echo 2)/24" dev eth0
    ip -n "passband-$id-$host" link set eth0 up
  done
}
queue() {
  local host
  for host in a b; do
    tc -n "passband-$id-$host" qdisc add dev eth0 root "$@" 2>"$work/why" || return 1
  done
}

virtual_link
limit=()
[ "$rate" = none ] || limit=(rate "$rate")
if [ -n "${DELAY:-}" ] && ! queue netem delay "${DELAY}ms" "${limit[@]}" limit 100000; then
  ip -n "passband-$id-a" link del eth0
  python3 "$(dirname "$0")/delay_line.py" "passband-$id-a" "passband-$id-b" "$DELAY" >"$work/line" &
  line=$!
  until grep -q ready "$work/line"; do
    kill -0 "$line" 2>/dev/null || refused "no tun devices"
    sleep 0.05
  done
  DELAY=
fi
addresses
if [ -z "${DELAY:-}" ] && [ "$rate" != none ]; then
  queue tbf rate "$rate" burst 256kb latency 200ms || refused "no tbf: $(cat "$work/why")"
fi

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
