"""Thunks for any program, from the hashes of what it reads: what gg-create-thunk does, for scripts and for Python.

A reference is written `V<64 hex>:<size>` for a blob and `T<64 hex>` for a thunk, `T<64 hex>#NAME` for one of its outputs
by name. The command runs in a directory of its own that holds its inputs under the names given to them (the reference's
own text when none is given); outputs are names in the same directory. It is called the same on every machine and in every
workspace, so equal thunks have equal ids wherever they are made; there need not be such a directory.

A program that runs as such a thunk may make further ones, with gg-create-thunk or with `Maker`, and write their
placeholders to its outputs. When its first output is one, the thunk goes on as the thunk that it names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from gg.core.codec import decode_thunk, encode_thunk, thunk_id
from gg.core.ids import BlobId, SandboxPath, ThunkId, parse_digest
from gg.core.thunk import BY_HAND as DIRECTORY
from gg.core.thunk import Entry, File, Output, OutputOf, Thunk, Work
from gg.errors import MissingObject, UsageError
from gg.light.slotted import slotted
from gg.store.base import Key, Kind, Store, get_one

MODEL = "custom/1"
_ARGUMENT = re.compile(r"@\{GGHASH:([^}]*)\}")


@slotted()
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


@slotted()
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
        inside(name)
        return cls(reference, name, Reference.parse(reference))


def build(
    store: Store,
    *,
    function: str,
    arguments: Sequence[str],
    environment: Sequence[str],
    values: Sequence[Named],
    thunks: Sequence[Named],
    executables: Sequence[Named],
    outputs: Sequence[str],
) -> tuple[ThunkId, bytes]:
    """The thunk's id and encoding; `arguments[0]` is the program's argv[0]. UsageError for what makes no sense."""
    if not arguments:
        raise UsageError("a thunk needs its program's own name as first argument", hint="FUNCTION-HASH NAME [ARG...]")
    program = next((n for n in executables if function in (n.text, n.name)), None)
    if program is None:
        raise UsageError(f"the function {function} is not among the executables", hint=f"--executable {function}")
    entries: dict[bytes, Entry] = {}
    names: dict[str, str] = {}
    for group, executable in ((values, False), (thunks, False), (executables, True)):
        for named in group:
            path = inside(named.name)
            entries[path] = _entry(store, path, named.reference, executable)
            names[named.text] = named.name
    return assemble(
        program=inside(program.name),
        argv=[os.fsencode(_ARGUMENT.sub(lambda m: _name(m[1], names), a)) for a in arguments],
        entries=entries,
        outputs=outputs,
        environment=_environment(environment),
    )


def assemble(
    *,
    program: SandboxPath,
    argv: Sequence[bytes],
    entries: Mapping[bytes, Entry],
    outputs: Sequence[str],
    environment: Mapping[bytes, bytes],
    dynamic: bool = True,
) -> tuple[ThunkId, bytes]:
    """The id and encoding of a thunk whose inputs are known; outputs are names in its directory, the first must be made.

    `dynamic`: its command may make further thunks.
    """
    if not outputs:
        raise UsageError("a thunk needs at least one output", hint="--output NAME")
    thunk = Thunk(
        argv=tuple(argv),
        program=program,
        cwd=SandboxPath(DIRECTORY),
        env=tuple(sorted(environment.items())),
        entries=tuple(entries[path] for path in sorted(entries)),
        groups=(),
        outputs=tuple(Output(inside(o), optional=i > 0) for i, o in enumerate(outputs)),
        work=Work.OTHER,
        model=MODEL,
        dynamic=dynamic,
    )
    encoded = encode_thunk(thunk)
    return thunk_id(encoded), encoded


def inside(name: str) -> SandboxPath:
    """Where a thunk's command finds the input `name`; UsageError for one that is not below its directory."""
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise UsageError(f"{name!r} is not a name inside the thunk's directory")
    return SandboxPath(DIRECTORY + b"/" + os.fsencode(name))


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


class Maker:
    """Makes thunks in the store of the workspace around here (or of `GG_DIR`). UsageError when there is none.

    with Maker() as maker:
        maker.thunk(function, ["add", "1", "2"], executables=[function], outputs=["out"], placeholder="sum")
    """

    def __init__(self) -> None:
        from gg.store.directory import DirectoryStore
        from gg.workspace.workspace import Workspace

        self._store = DirectoryStore(os.fsencode(Workspace.need().store))

    def thunk(
        self,
        function: str,
        arguments: Sequence[str],
        *,
        executables: Sequence[str],
        outputs: Sequence[str],
        values: Sequence[str] = (),
        thunks: Sequence[str] = (),
        environment: Sequence[str] = (),
        placeholder: str = "",
    ) -> str:
        """Make one, and write a placeholder of its first output if a name for that is given. Its reference.

        References are strings as at the head of this module, `REFERENCE=NAME` to give an input a name.
        """
        name, encoded = build(
            self._store,
            function=function,
            arguments=arguments,
            environment=environment,
            values=[Named.parse(v) for v in values],
            thunks=[Named.parse(t) for t in thunks],
            executables=[Named.parse(e) for e in executables],
            outputs=outputs,
        )
        self._store.put({Key(Kind.THUNK, name): encoded})
        if placeholder:
            write_placeholder(placeholder, name)
        return thunk_text(name)

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Maker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_placeholder(path: str, name: ThunkId) -> None:
    """A placeholder of the thunk's first output at `path`."""
    from gg.core.placeholder import PlaceholderWriter
    from gg.host import native_programs as native
    from gg.host.files import write_whole

    write_whole(os.fsencode(path), PlaceholderWriter(os.fsencode(native.shim())).encode(name, 0))
