"""A worker over a pipe: `python -m gg.worker.pipe DIRECTORY [--alone]` reads requests from its standard input and answers on
its standard output, each with its length in front, four bytes in network order. There is no store: requests hold all objects.
`--alone`: no other process of this user may live on this host.
"""

from __future__ import annotations

import struct
import sys
from typing import BinaryIO

from gg.worker.serve import Worker

_LENGTH = struct.Struct("!I")


def serve(directory: str, requests: BinaryIO, replies: BinaryIO, *, alone: bool = False) -> None:
    """Serve until the input ends, or Spoilt."""
    worker = Worker(directory, alone=alone)
    while head := requests.read(_LENGTH.size):
        data = worker.handle(requests.read(*_LENGTH.unpack(head)))
        replies.write(_LENGTH.pack(len(data)) + data)
        replies.flush()
    worker.close()


if __name__ == "__main__":
    serve(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer, alone=sys.argv[2:] == ["--alone"])
