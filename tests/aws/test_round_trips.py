"""How often the servers are asked for a build: 3,400 inputs and the toolchain to an empty bucket, then after an edit.

Requests are counted by a proxy before the S3 server, and by the Lambda service, whose fast mode stands for the workers: so
what is counted is the coordinator's. One compile is recorded by gg-infer; the others are made like it, and so are headers.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.coordinator.workload import tell
from gg.core.codec import decode_thunk, encode_group, encode_thunk, group_id, thunk_id
from gg.core.ids import BlobId, GroupId, SandboxPath
from gg.core.placeholder import PlaceholderWriter
from gg.core.thunk import File, Group, Thunk, Work
from gg.host import native_programs as native
from gg.store.base import Key, Kind, blob_key
from gg.store.directory import DirectoryStore
from tests.e2e.project import Project
from tests.servers.flaky import flaky
from tests.servers.functions_for_tests import create
from tests.servers.lambda_service.client import LambdaService, beside, lambda_service
from tests.servers.lambda_service.config import Config
from tests.servers.seaweed import REGION, Seaweed
from tests.servers.server import Seen

UNITS, HEADERS = 2400, 1000
BATCH = 16  # thunks an invocation, at most
FUNCTION = f"gg-worker-{'arm64' if os.uname().machine == 'aarch64' else os.uname().machine}-1769"


@dataclass
class Counted:
    """A project whose coordinator is watched."""

    project: Project
    service: LambdaService
    seen: Counter[str]
    like: Thunk
    store: Path

    def force(self, *arguments: str) -> tuple[int, int]:
        """Force; requests to S3, and invocations."""
        before = self.service.state().get("invocations", 0)
        self.seen.clear()
        self.project.force("--engine", "lambda", "--fallback", "never", "--jobs", "200", *arguments)
        return sum(self.seen.values()), self.service.state()["invocations"] - before

    def record(self, units: dict[int, bytes], groups: tuple[GroupId, ...]) -> None:
        """Placeholders of compiles of these sources, each of which reads `groups` too."""
        writer = PlaceholderWriter(os.fsencode(native.shim()))
        with DirectoryStore(self.store) as store:
            items: dict[Key, bytes] = {}
            for number, text in units.items():
                thunk = self._compile(number, text, groups)
                data = encode_thunk(thunk)
                items |= {Key(Kind.THUNK, thunk_id(data)): data, blob_key(BlobId.of(text)): text}
                Path(os.fsdecode(thunk.outputs[0].path)).write_bytes(writer.encode(thunk_id(data), 0))
            store.put(items)

    def headers(self, texts: dict[int, bytes]) -> tuple[GroupId, ...]:
        """Groups of fifty headers each."""
        root = os.fsencode(self.project.root)
        with DirectoryStore(self.store) as store:
            store.put({blob_key(BlobId.of(text)): text for text in texts.values()})
            found = [File(SandboxPath(b"%s/h%05d.h" % (root, n)), BlobId.of(text)) for n, text in texts.items()]
            encoded = [encode_group(Group(tuple(found[at : at + 50]))) for at in range(0, len(found), 50)]
            store.put({Key(Kind.GROUP, group_id(data)): data for data in encoded})
        return tuple([group_id(data) for data in encoded])

    def _compile(self, number: int, text: bytes, groups: tuple[GroupId, ...]) -> Thunk:
        def renamed(path: bytes) -> SandboxPath:
            return SandboxPath(re.sub(rb"\bunit\b", b"u%d" % number, path))

        like = self.like
        source = File(renamed(os.fsencode(self.project.root) + b"/unit.c"), BlobId.of(text))
        rest = [e for e in like.entries if not e.path.endswith(b"/unit.c")]
        return like._replace(
            argv=tuple(renamed(word) for word in like.argv),
            entries=tuple(sorted([source, *rest], key=lambda entry: entry.path)),
            groups=tuple(sorted({*like.groups, *groups})),
            outputs=tuple(output._replace(path=renamed(output.path)) for output in like.outputs),
        )


@pytest.fixture(scope="module")
def counted(seaweed_server: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    where = tmp_path_factory.mktemp("counted").resolve()
    (where / "home").mkdir()
    (where / "tree").mkdir()
    seen: Counter[str] = Counter()

    def count(one: Seen) -> str:
        seen[one.method] += 1
        return ""

    told = where / "told"
    tell(told, None, 0.0)
    config = beside(seaweed_server, Config(fast="benchmarks.coordinator.worker:answer"))
    config = replace(config, worker_environment=(*config.worker_environment, ("GG_BENCH", str(told))))
    with flaky(seaweed_server.port, count) as (port, _), lambda_service(config) as service:
        create(service.client(), FUNCTION, MemorySize=1769, Timeout=900)
        env = {"PATH": os.environ["PATH"], "HOME": str(where / "home"), "LC_ALL": "C", **service.environment()}
        env["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{port}"
        env["GG_STORAGE_URI"] = f"s3://{seaweed_server.make_bucket()}/p?region={REGION}"
        project = Project(where / "tree", env)
        project.write("unit.c", "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return 0; }\n")
        project.infer("gcc", "-O2", "-c", "unit.c", "-o", "unit.o")
        (where / "tree" / "unit.o").unlink()
        store = project.store
        with DirectoryStore(store) as opened:
            found = [decode_thunk(data) for data in opened.get([s.key for s in opened.keys(Kind.THUNK)]).values()]
        (like,) = [thunk for thunk in found if thunk.work is Work.COMPILE]
        yield Counted(project, service, seen, like, store)


def test_requests_of_a_build(counted: Counted) -> None:
    sources = {n: b"int f%d(void) { return %d; }\n" % (n, n) * 40 for n in range(UNITS)}
    texts = {n: b"#define H%d %d\n" % (n, n) * 20 for n in range(HEADERS)}
    groups = counted.headers(texts)
    counted.record(sources, groups)
    requests, invocations = counted.force()
    assert UNITS / BATCH <= invocations < 1.1 * UNITS, "but for stragglers, which are run twice"
    assert requests <= 40, counted.seen

    counted.record({7: b"int edited;\n"}, groups)
    assert counted.force("u7.o") == (0, 1), "a source rides along, and nobody is asked for what is known"

    texts[3] += b"/* edited */\n"
    again = counted.headers(texts)
    counted.record({n: sources[n] for n in range(40)}, again)
    requests, invocations = counted.force()
    assert invocations >= 40 / BATCH
    assert requests <= 3, counted.seen
