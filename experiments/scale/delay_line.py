#!/usr/bin/env python3
"""A link between two network namespaces on which each packet comes later by a time: for kernels
without netem. Usage: delay_line.py NAMESPACE NAMESPACE MILLISECONDS; makes eth0 in both, prints a
line when they are there, and carries packets until it is killed."""

import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def end_in(namespace, number):
    """The descriptor of a device that is eth0 in a namespace from here on."""
    name = f"pb{os.getpid()}{number}"
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "netns", namespace, "name", "eth0"], check=True)
    return device


def carry(ends, delay):
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    waiting = collections.deque()  # when due, where to, what
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select(ends, [], [], timeout)
        now = time.monotonic()
        for end in readable:
            try:
                while True:
                    waiting.append((now + delay, other[end], os.read(end, 65536)))
            except BlockingIOError:
                pass
        while waiting and waiting[0][0] <= time.monotonic():
            _, end, packet = waiting.popleft()
            try:
                os.write(end, packet)
            except OSError:  # the other end is down, or its queue is full: a packet is lost
                pass


if __name__ == "__main__":
    ENDS = [end_in(namespace, number) for number, namespace in enumerate(sys.argv[1:3])]
    print("ready", flush=True)
    carry(ENDS, float(sys.argv[3]) / 1e3)
