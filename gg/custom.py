"""Thunks for any program, from the hashes of what it reads: what gg-create-thunk does, for scripts and for Python.

A reference is written `V<64 hex>:<size>` for a blob and `T<64 hex>` for a thunk, `T<64 hex>#NAME` for one of its outputs
by name. The command runs in an empty directory of its own that holds its inputs under the names given to them (the
reference's own text when none is given); outputs are names in the same directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gg.core.codec import decode_thunk, encode_thunk, thunk_id
from gg.core.ids import BlobId, SandboxPath, ThunkId, parse_digest
from gg.core.thunk import Entry, File, Output, OutputOf, Thunk, Work
from gg.errors import MissingObject, UsageError
from gg.store.base import Key, Kind, Store, get_one

MODEL = "custom/1"
_ARGUMENT = re.compile(r"@\{GGHASH:([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A blob, or a thunk with the name of one of its outputs (empty: the first)."""

    blob: BlobId | None = None
    thunk: ThunkId | None = None
    output: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """UsageError for anything but the forms at the head of this module."""
        kind, rest = text[:1], text[1:]
        if kind == "V" and ":" in rest:
            digest, _, size = rest.partition(":")
            if size.isdigit():
                return cls(blob=BlobId(parse_digest(digest), int(size)))
        elif kind == "T":
            digest, _, output = rest.partition("#")
            return cls(thunk=ThunkId(parse_digest(digest)), output=output)
        raise UsageError(
            f"{text!r} is no reference",
            hint="V<hash>:<size> for a blob (what gg-hash prints), T<hash>[#OUTPUT] for a thunk",
        )


def blob_text(blob: BlobId) -> str:
    return f"V{blob.hex}:{blob.size}"


def thunk_text(thunk: ThunkId) -> str:
    return f"T{thunk.hex()}"


@dataclass(frozen=True, slots=True)
class Named:
    """An input and the name it has in the command's directory."""

    text: str
    name: str
    reference: Reference

    @classmethod
    def parse(cls, text: str) -> Named:
        """`REFERENCE` or `REFERENCE=NAME`."""
        reference, _, name = text.partition("=")
        name = name or reference
        if name.startswith("/") or ".." in name.split("/"):
            raise UsageError(f"{name!r} is not a name inside the thunk's directory")
        return cls(reference, name, Reference.parse(reference))


def build(
    store: Store,
    directory: bytes,
    *,
    function: str,
    arguments: Sequence[str],
    environment: Sequence[str],
    values: Sequence[Named],
    thunks: Sequence[Named],
    executables: Sequence[Named],
    outputs: Sequence[str],
) -> tuple[ThunkId, bytes]:
    """The thunk's id and encoding. `directory` is where it will seem to run; `arguments[0]` is the program's argv[0]."""
    if not outputs:
        raise UsageError("a thunk needs at least one output", hint="--output NAME")
    if not arguments:
        raise UsageError("a thunk needs its program's own name as first argument", hint="FUNCTION-HASH NAME [ARG...]")
    program = next((n for n in executables if function in (n.text, n.name)), None)
    if program is None:
        raise UsageError(f"the function {function} is not among the executables", hint=f"--executable {function}")
    entries: dict[bytes, Entry] = {}
    names: dict[str, str] = {}
    for group, executable in ((values, False), (thunks, False), (executables, True)):
        for named in group:
            path = SandboxPath(directory + b"/" + os.fsencode(named.name))
            entries[path] = _entry(store, path, named.reference, executable)
            names[named.text] = named.name
    thunk = Thunk(
        argv=tuple(os.fsencode(_ARGUMENT.sub(lambda m: _name(m[1], names), a)) for a in arguments),
        program=SandboxPath(directory + b"/" + os.fsencode(program.name)),
        cwd=SandboxPath(directory),
        env=tuple(sorted(_environment(environment).items())),
        entries=tuple(entries[path] for path in sorted(entries)),
        groups=(),
        outputs=tuple(Output(SandboxPath(directory + b"/" + os.fsencode(o)), optional=i > 0) for i, o in enumerate(outputs)),
        work=Work.OTHER,
        model=MODEL,
        dynamic=True,
    )
    encoded = encode_thunk(thunk)
    return thunk_id(encoded), encoded


def _entry(store: Store, path: SandboxPath, reference: Reference, executable: bool) -> Entry:
    if reference.blob is not None:
        return File(path, reference.blob, executable)
    assert reference.thunk is not None
    if not reference.output:
        return OutputOf(path, reference.thunk, 0)
    data = get_one(store, Key(Kind.THUNK, reference.thunk))
    if data is None:
        raise MissingObject(f"thunk {reference.thunk.hex()} is not in the store")
    for index, output in enumerate(decode_thunk(data).outputs):
        if os.path.basename(output.path) == os.fsencode(reference.output):
            return OutputOf(path, reference.thunk, index)
    raise UsageError(f"thunk {reference.thunk.hex()} has no output {reference.output!r}")


def _name(text: str, names: dict[str, str]) -> str:
    if text not in names:
        raise UsageError(f"{text} is used in an argument and is not an input", hint="--value or --thunk")
    return names[text]


def _environment(pairs: Sequence[str]) -> dict[bytes, bytes]:
    env = {b"PATH": os.fsencode(os.defpath)}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{pair!r} is no environment variable", hint="--envar NAME=VALUE")
        env[os.fsencode(name)] = os.fsencode(value)
    return env
