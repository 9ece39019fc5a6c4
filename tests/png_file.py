"""PNG files for tests of programs."""
import random
import struct
import zlib


def png(side, seed):
    """The bytes of a square picture of noise."""
    draw = random.Random(seed)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I",
                                                                        zlib.crc32(kind + data))
    rows = b"".join(b"\0" + draw.randbytes(3 * side) for _ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
            + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))
