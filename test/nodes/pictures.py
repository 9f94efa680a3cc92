"""Pictures that do not want to be decoded."""

import struct
import zlib


def _chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


PNG_BOMB = (
    b'\x89PNG\r\n\x1a\n'
    + _chunk(b'IHDR', struct.pack('>IIBBBBB', 100_000, 100_000, 8, 2, 0, 0, 0))
    + _chunk(b'IDAT', zlib.compress(bytes(100)))
    + _chunk(b'IEND', b'')
)
"""A valid header of 100000x100000 pixels, more than OpenCV takes."""
