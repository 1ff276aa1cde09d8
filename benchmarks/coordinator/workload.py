"""A workspace with recorded thunks of a trivial program: a source of its own each, and the program's files as a group."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gg.core.codec import encode_group, encode_thunk, group_id, thunk_id
from gg.core.ids import BlobId, SandboxPath, sandbox_path
from gg.core.placeholder import PlaceholderWriter
from gg.core.thunk import Directory, File, Group, Output, Symlink, Thunk, Work
from gg.host import native_programs as native
from gg.sdk.program_files import ProgramFiles
from gg.store.base import Key, Kind, blob_key
from gg.store.directory import DirectoryStore
from gg.workspace.workspace import Workspace

_BATCH = 1000


def make(root: Path, count: int) -> list[SandboxPath]:
    """The tree at `root`, with `count` placeholders in `out/`, for whose HOME is beside it. The paths of the group's files."""
    (root / "out").mkdir(parents=True)
    with _at_home(root.parent):
        workspace = Workspace.new(str(root))
        workspace.make()
    with DirectoryStore(os.fsencode(workspace.store)) as store:
        program, group = _program(workspace, store)
        encoded = encode_group(group)
        store.put({Key(Kind.GROUP, group_id(encoded)): encoded})
        writer = PlaceholderWriter(os.fsencode(native.shim()))
        for start in range(0, count, _BATCH):
            items: dict[Key, bytes] = {}
            for number in range(start, min(start + _BATCH, count)):
                source = b"source %d\n" % number
                thunk = _thunk(os.fsencode(root), program, group, source, number)
                data = encode_thunk(thunk)
                items[Key(Kind.THUNK, thunk_id(data))] = data
                items[blob_key(BlobId.of(source))] = source
                Path(os.fsdecode(thunk.outputs[0].path)).write_bytes(writer.encode(thunk_id(data), 0))
            store.put(items)
    return [entry.path for entry in group.entries if isinstance(entry, File)]


@contextmanager
def _at_home(home: Path) -> Iterator[None]:
    before = dict(os.environ)
    os.environ["HOME"] = str(home)
    os.environ.pop("XDG_CACHE_HOME", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _program(workspace: Workspace, store: DirectoryStore) -> tuple[SandboxPath, Group]:
    programs = ProgramFiles(workspace, store)
    program, entries = programs.find(b"cp", {})
    programs.close()
    kept = [entry for entry in entries if isinstance(entry, (File, Symlink, Directory))]
    return program, Group(tuple(sorted(kept, key=lambda entry: entry.path)))


def _thunk(root: bytes, program: SandboxPath, group: Group, source: bytes, number: int) -> Thunk:
    read = sandbox_path(b"%s/src/%d.txt" % (root, number))
    made = sandbox_path(b"%s/out/%d" % (root, number))
    return Thunk(
        argv=(b"cp", read, made),
        program=program,
        cwd=sandbox_path(root),
        env=((b"LC_ALL", b"C"), (b"PATH", os.fsencode(os.defpath))),
        entries=(File(read, BlobId.of(source)),),
        groups=(group_id(encode_group(group)),),
        outputs=(Output(made),),
        work=Work.EDIT,
        model="benchmark/1",
    )


def tell(path: Path, paths: list[SandboxPath] | None, seconds: float) -> None:
    """Write what `benchmarks.coordinator.worker` reads. Without `paths` it says nothing of what was read."""
    names = None if paths is None else [os.fsdecode(each) for each in paths]
    path.write_text(json.dumps({"paths": names, "seconds": seconds}))
