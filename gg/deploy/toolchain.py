"""The files of a compiler, as objects that thunks name. They are learnt by recording a sample."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from gg.core.codec import decode_group, decode_thunk
from gg.core.ids import BlobId, GroupId
from gg.core.thunk import Entry, File, Group, Thunk
from gg.deploy.samples import Sample, sample
from gg.errors import StoreError, UsageError
from gg.host import native_programs as native
from gg.host.files import read_at_rest
from gg.store.base import Key, Kind, Store
from gg.store.directory import DirectoryStore
from gg.workspace.settings import without_settings

_INFER = "from gg.cli.main import infer; infer()"
_TIMEOUT_S = 300
# Many builds run their tools in these languages, whatever the user's is. The language decides which catalogs are inputs.
_PLAINLY = "unset LANG LANGUAGE LC_CTYPE LC_MESSAGES LC_COLLATE LC_NUMERIC LC_TIME; export LC_ALL=C"


class Object(NamedTuple):
    """One object of a layer: its size, and its bytes or the file that has them."""

    size: int
    path: bytes
    data: bytes = b""
    executable: bool = False

    def read(self, name: str) -> bytes:
        """The bytes. StoreError if the file has changed since it was recorded."""
        data = self.data if not self.path else read_at_rest(self.path)[0]
        if BlobId.of(data).digest.hex() != name.partition(".")[0]:
            raise StoreError(f"{os.fsdecode(self.path)} has changed meanwhile", hint="gg deploy lambda can be repeated")
        return data


class ToolObjects(NamedTuple):
    """A compiler, or another tool, as the user named it. `objects`: by their names in a worker's cache."""

    name: str
    objects: dict[str, Object]


def tools(given: str) -> tuple[ToolObjects, ...]:
    """The tools of a list such as `gcc,g++ -m32,/opt/cross/bin/arm-none-eabi-gcc`. GGError for one that cannot be recorded."""
    commands = [_command(part) for part in given.split(",") if part.strip()]
    if not commands:
        raise UsageError("no compiler is named", hint="--layer gcc,g++; --layer none takes the layer off")
    checked = [(command, sample(command)) for command in dict.fromkeys(commands)]
    return tuple([ToolObjects(shlex.join(command), _recorded(command, each)) for command, each in checked])


def _command(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{text!r} is no command: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise UsageError(f"no program {words[0] if words else text!r} on PATH", hint="--layer takes names or paths")
    return words


def _recorded(command: tuple[str, ...], wanted: Sample) -> dict[str, Object]:
    """The objects that the thunks of a sample name, without its own sources."""
    with tempfile.TemporaryDirectory(prefix="gg-sample-") as directory:
        root, state = (os.path.join(os.path.realpath(directory), name) for name in ("sample", "state"))
        os.mkdir(root)
        for name, text in wanted.files.items():
            path = os.path.join(root, name)
            if name.endswith(".o"):  # any ELF file: a call that strip might refuse would not be recorded
                shutil.copyfile(native.shim(), path)
            else:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
        said = _record(root, state, wanted)
        with DirectoryStore(state) as store:
            thunks = [decode_thunk(data) for data in store.get([each.key for each in store.keys(Kind.THUNK)]).values()]
            if not thunks:
                raise StoreError(f"{shlex.join(command)} cannot be recorded{said}", hint="leave it out of --layer")
            return _objects(store, thunks, wanted, os.fsencode(root) + b"/")


def _record(root: str, state: str, wanted: Sample) -> str:
    """Record the sample's commands, in the user's language and in none. Returns the last output, to explain missing thunks."""
    lines = [shlex.join(command) for command in wanted.commands]
    script = "\n".join([*lines, _PLAINLY, *lines])
    env = {**without_settings(state), "GG_DIR": state}
    call = [sys.executable, "-c", _INFER, "sh", "-c", script]
    try:
        done = subprocess.run(
            call, cwd=root, env=env, capture_output=True, text=True, errors="replace", check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f": it takes longer than {_TIMEOUT_S} s"
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return f": {said[-1].strip()}" if said else ""


def _objects(store: Store, thunks: list[Thunk], wanted: Sample, root: bytes) -> dict[str, Object]:
    found: dict[str, Object] = {}
    for thunk in thunks:
        for name, data, group in _groups(store, thunk, wanted):
            if not any(entry.path.startswith(root) for entry in group.entries):
                found[name] = Object(len(data), b"", data)
            found.update(_files(store, group.entries, root))
        if wanted.compiles:
            found.update(_files(store, thunk.entries, root))
    return found


def _groups(store: Store, thunk: Thunk, wanted: Sample) -> Iterator[tuple[str, bytes, Group]]:
    """The groups of a thunk and those below. For a utility only its own: LLVM's plugins, 100 MB, are seldom wanted."""
    ids: list[GroupId] = list(thunk.groups)
    for each in ids:  # grows while it is walked
        data = store.get([Key(Kind.GROUP, each)])[Key(Kind.GROUP, each)]
        group = decode_group(data)
        if wanted.compiles or any(entry.path == thunk.program for entry in group.entries):
            yield f"{each.hex()}.group", data, group
            ids += [below for below in group.groups if below not in ids]


def _files(store: Store, entries: tuple[Entry, ...], root: bytes) -> Iterator[tuple[str, Object]]:
    """Files outside of the sample, each with its path."""
    for entry in entries:
        if isinstance(entry, File) and not entry.path.startswith(root):
            name = entry.blob.digest.hex() + (".x" if entry.executable else "")
            yield name, Object(entry.blob.size, bytes(entry.path), executable=entry.executable)
