# What the generators of golden files share: the library's random numbers, and safetensors files.
import json
import struct

import numpy


# --- random numbers: Philox4x32-10, keyed by seed, step and site, as tensor/core/random.h ---

def site_of(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def words(seed, site, count, step=0):
    """Four 32-bit words for each index in [0, count): (count, 4)."""
    mixed = (seed * 0x9E3779B97F4A7C15 % 2**64) ^ site
    k0, k1 = mixed % 2**32, mixed >> 32
    low = numpy.uint64(0xFFFFFFFF)
    index = numpy.arange(count, dtype=numpy.uint64)
    c = [index & low, index >> numpy.uint64(32), numpy.full(count, step % 2**32, numpy.uint64),
         numpy.full(count, step >> 32, numpy.uint64)]
    for _ in range(10):
        p0, p1 = numpy.uint64(0xD2511F53) * c[0], numpy.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> numpy.uint64(32)) ^ c[1] ^ numpy.uint64(k0), p1 & low,
             (p0 >> numpy.uint64(32)) ^ c[3] ^ numpy.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return numpy.stack(c, 1)


def normal(seed, site, count):
    w = words(seed, site, count)
    u, t = (w[:, 0] + 0.5) * 2.0**-32, w[:, 1] * 2.0**-32
    return (numpy.sqrt(-2 * numpy.log(u)) * numpy.cos(6.283185307179586 * t)).astype(
        numpy.float32).astype(float)


def uniform(seed, site, count):
    w = words(seed, site, (count + 3) // 4).reshape(-1)[:count]
    return (w >> numpy.uint64(8)) * 2.0**-24


# --- files ---

def write(path, tensors, metadata=None):
    header, body = {"__metadata__": metadata or {}}, b""
    for name, array in sorted(tensors.items()):
        data = numpy.ascontiguousarray(array, "<f8").tobytes()
        header[name] = {
            "dtype": "F64", "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + len(data)]
        }
        body += data
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)
