"""The S3 store: requests for a build's inputs, CPU a request, bytes a second. Against servers on loopback.

    python -m benchmarks.s3 [--inputs N] [--json]

*Inputs* are N synthetic sources of the sizes that FFmpeg's have, with the closure of the host's gcc and the system
headers of a small unit, as `gg-infer` has recorded them. They are sent to an empty bucket of seaweedfs, then once more
after one edit, as a new process would that remembers what is there; a third machine that has never seen the bucket
fetches all of them. *CPU a request* is that of the client alone, of the thread that runs it: signed requests, 64 at once,
to a server of another process that answers with a few fixed bytes. Times are for comparison on one machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import machine
from gg.aws.http import Client, Endpoint
from gg.aws.sign import Credentials, Scope
from gg.core.codec import decode_thunk
from gg.core.ids import BlobId
from gg.run.expand import Groups
from gg.share.s3.packer import ObjectToPack
from gg.share.s3.ship import Shipper, inputs
from gg.store.base import Kind, blob_key
from gg.store.directory import DirectoryStore
from tests.commands.batch import programs
from tests.servers.s3 import place_on, secret_key
from tests.servers.seaweed import seaweed
from tests.support.fixed_keys import FixedKeys

_ANSWER = """
import asyncio
class Server(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        for _ in range(data.count(b"\\r\\n\\r\\n")):
            self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def sources(directory: Path, count: int) -> list[ObjectToPack]:
    """Files of code-like text, 1 to 80 KB, the middle at 8."""
    rng = random.Random(7)
    words = [
        f"{a}_{b}"
        for a in ("av", "ff", "sws", "pkt", "codec")
        for b in ("init", "frame", "ctx", "read", "write", "x86")
    ]
    found = []
    for n in range(count):
        size = min(80_000, int(rng.lognormvariate(9.0, 0.9)))
        line = "    {} = {}({}, {});\n"
        text = "".join(
            line.format(*rng.choices(words, k=3), rng.randrange(10_000)) for _ in range(max(1, size // 45))
        ).encode()
        path = directory / f"s{n}.c"
        path.write_bytes(text)
        found.append(ObjectToPack(blob_key(BlobId.of(text)), len(text), os.fsencode(path)))
    return found


def recorded(directory: Path) -> dict[str, list[ObjectToPack]]:
    """What compiling a small unit reads: the compiler's closure, and headers."""
    (directory / "unit.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\nint main(void) { return 0; }\n"
    )
    command = [str(programs() / "gg-infer"), "gcc", "-O2", "-o", "unit", "unit.c", "-lm"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    with DirectoryStore(directory / ".gg") as store:
        groups = Groups(store)
        keys = [stored.key for stored in store.keys(Kind.THUNK)]
        files = {file for data in store.get(keys).values() for file in groups.files(decode_thunk(data)).values()}
    return inputs(sorted(files))


def upload(count: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name, seaweed() as server:
        directory = Path(name)
        (directory / "work").mkdir()
        groups = recorded(directory / "work")
        groups["project"] = groups.get("project", []) + sources(directory, count)
        sizes = {kind: (len(items), sum(item.size for item in items)) for kind, items in groups.items()}
        key = secret_key()
        with place_on(server, server.make_bucket(), directory) as place:
            remote = place.remote(key, catalog="mine")
            begun, cpu = time.perf_counter(), time.process_time()
            places = Shipper(remote, None).ensure(groups)
            wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
            stored = sum({place.pack: place.size for place in places.values()}.values())
            first = dict(remote.bucket.calls)
            edited = directory / "s0.c"
            edited.write_bytes(b"/* edited */\n" + edited.read_bytes())
            text = edited.read_bytes()
            again = [ObjectToPack(blob_key(BlobId.of(text)), len(text), os.fsencode(edited)), *groups["project"][1:]]
            second = place.remote(key, catalog="mine")
            Shipper(second, None).ensure({**groups, "project": again})
            fresh = place.store()
            wanted = [item.key for items in groups.values() for item in items]
            fetch = time.perf_counter()
            assert len(fresh.get(wanted)) == len(set(wanted))
            fetch = time.perf_counter() - fetch
            return {
                "inputs": sizes,
                "requests, empty bucket": sum(first.values()),
                "requests by method": first,
                "requests, one edit": second.requests,
                "requests, fetching all elsewhere": fresh.remote.requests,
                "bytes stored": stored,
                "seconds": round(wall, 2),
                "CPU seconds": round(cpu, 2),
                "raw MB a second up": round(sum(size for _, size in sizes.values()) / wall / 1e6, 1),
                "raw MB a second down": round(sum(size for _, size in sizes.values()) / fetch / 1e6, 1),
            }


def cpu_a_request(count: int = 20_000, width: int = 64) -> dict[str, object]:
    with subprocess.Popen([sys.executable, "-c", _ANSWER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            return {body: _requests(port, count, width, size) for body, size in (("GET", 0), ("PUT of 4 KiB", 4096))}
        finally:
            process.terminate()


def _requests(port: int, count: int, width: int, size: int) -> dict[str, object]:
    async def main() -> tuple[float, float]:
        keys = FixedKeys(Credentials("AKID", "secret", "token"))
        client = Client(Endpoint("127.0.0.1", port), Scope("eu-west-1", "s3"), keys, limit=width)
        body = os.urandom(size)
        left = iter(range(count))

        async def work() -> None:
            for n in left:
                await client.request("PUT" if size else "GET", f"/bucket/packs/{n:x}", body=body)

        begun, cpu = time.perf_counter(), time.thread_time()
        await asyncio.gather(*[work() for _ in range(width)])
        cpu, wall = time.thread_time() - cpu, time.perf_counter() - begun
        await client.close()
        return cpu, wall

    cpu, wall = asyncio.run(main())
    return {"CPU ms a request": round(cpu / count * 1e3, 3), "requests a second": round(count / wall)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=3400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = {"upload": upload(options.inputs), "client": cpu_a_request(), "machine": machine()}
    print(json.dumps(found, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
