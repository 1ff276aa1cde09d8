"""Thunks and groups as bytes: canonical, versioned msgpack, written field by field. Version 1.

`gg.core.reduction` does the same for reductions, and `gg.core.columns` has what both are made of.

An encoding is one msgpack array that opens with a tag and a version, so the encodings of different kinds, and with
them their ids, never meet. Integers take their shortest form, text is UTF-8 `str`, all else is `bin`. What comes in
numbers is kept in columns, one string a column, because a coder in Python pays by the object and not by the byte.

  thunk      "gg-thunk", 1, model, work, dynamic, program, cwd, argv, env, entries, groups, outputs
  group      "gg-group", 1, entries, groups
  reduction  "gg-reduction", 1, made, stdout, stderr, [wall, cpu, memory], engine, extra outputs, extra inputs, reads

  argv, env      strings, each ended by NUL; env is name, value, name, value, …
  entries        [kinds, paths, digests, numbers, targets]: a letter an entry (f file, x executable file, o output of a
                 thunk, l symbolic link, d directory); paths each ended by NUL; 32 bytes and one integer for each f
                 and x (its size) and each o (its index); what each l points to, ended by NUL
  groups         their ids, 32 bytes each
  outputs        [flags, paths]: a byte an output (1 executable, 2 optional, 4 soft)
  made           [marks, digests, sizes]: f, x, or - for what was left out, which has no digest and no size
  extra outputs  [paths, marks, digests, sizes]            extra inputs  [paths, digests, sizes]
  reads          nil, or [n, check, bits]: bit i (of byte i // 8, lowest first) stands for path i of the universe,
                 which has n paths and whose digest begins with the 8 bytes of `check`

*Canonical* means that one value has one encoding and one encoding one value. Sets are sorted by their bytes (entries
and extra files by path, the environment by name, group ids by value) in whatever order they come; the order of
arguments and outputs means something and is kept. What is twice in a set is refused, by encoders and by decoders.

An id is the BLAKE3 digest of an encoding as it stands, so a store verifies any object without knowing its kind.

A new version is a new number, decoded beside this one. The thunks it encodes have new ids even where nothing else
changed: that costs one rebuild and never a wrong hit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from blake3 import blake3

from gg.core.bounded import damaged
from gg.core.columns import (
    VERSION,
    ascending,
    check_numbers,
    check_paths,
    fields_of,
    join,
    join_digests,
    join_paths,
    open_as,
    pack,
    split,
    split_digests,
    split_paths,
    typed,
)
from gg.core.ids import DIGEST_SIZE, BlobId, GroupId, SandboxPath, ThunkId
from gg.core.thunk import Directory, Entry, File, Group, Output, OutputOf, Symlink, Thunk, Work
from gg.errors import FormatError
from gg.light.named import NamedTuple

_THUNK, _GROUP = "gg-thunk", "gg-group"
_FILE, _EXECUTABLE, _OUTPUT, _LINK, _DIRECTORY = b"fxold"
_WORKS = {work.value: work for work in Work}
_OUTPUT_FLAGS = [(bool(flags & 1), bool(flags & 2), bool(flags & 4)) for flags in range(8)]
_THUNK_TYPES: list[type] = [str, str, bool, bytes, bytes, bytes, bytes, list, bytes, list]
_OUTPUT_TYPES: list[type] = [bytes, bytes]
_ENTRY_TYPES: list[type] = [bytes, bytes, bytes, list, bytes]


# Thunks


def encode_thunk(thunk: Thunk) -> bytes:
    """The canonical bytes of `thunk`.

    FormatError for what no thunk can hold: a path or a variable twice, a NUL byte, a path relative or not clean.
    """
    env = sorted(thunk.env)
    if len(dict(env)) != len(env):
        raise FormatError("a thunk's environment has a variable twice")
    outputs = [output.path for output in thunk.outputs]
    if len(outputs) > 1 and len(set(outputs)) != len(outputs):
        raise FormatError("a thunk has an output twice")
    check_paths((thunk.program, thunk.cwd))
    return pack(
        [
            _THUNK,
            VERSION,
            thunk.model,
            thunk.work.value,
            thunk.dynamic,
            thunk.program,
            thunk.cwd,
            join(thunk.argv),
            join([text for pair in env for text in pair]),
            _entry_columns(thunk.entries),
            _joined_groups(thunk.groups),
            [bytes([o.executable + 2 * o.optional + 4 * o.soft for o in thunk.outputs]), join_paths(outputs)],
        ]
    )


def thunk_id(encoded: bytes) -> ThunkId:
    """The id of the thunk that `encoded` encodes."""
    return ThunkId(blake3(encoded).digest())


def decode_thunk(data: bytes) -> Thunk:
    """The thunk that `encode_thunk` made `data` of; FormatError for anything else."""
    fields = open_as(data, _THUNK)
    if typed(fields, _THUNK_TYPES):  # a match statement would take twice as long
        model, work, dynamic, program, cwd, argv, env, entries, groups, outputs = cast("list[Any]", fields)
        if work in _WORKS and typed(outputs, _OUTPUT_TYPES):
            path, directory = _two_paths(program, cwd)
            return Thunk(
                argv=tuple(split(argv)),
                program=path,
                cwd=directory,
                env=_env(env),
                entries=tuple(_entries(entries, _THUNK)),
                groups=_groups(groups),
                outputs=_outputs(outputs[0], split_paths(outputs[1])),
                work=_WORKS[work],
                model=model,
                dynamic=dynamic,
            )
    raise damaged(_THUNK)


def _two_paths(one: bytes, other: bytes) -> list[SandboxPath]:
    check_paths(cast("list[SandboxPath]", [one, other]))
    return cast("list[SandboxPath]", [one, other])


class Outline(NamedTuple):
    """What of a thunk must be known to find and place what it has made: decoded in a fifth of the time."""

    outputs: tuple[Output, ...]
    dependencies: tuple[ThunkId, ...]
    dynamic: bool


def outline_thunk(data: bytes) -> Outline:
    """The outline of the thunk that `encode_thunk` made `data` of. FormatError for what is no thunk, if it is noticed."""
    fields = fields_of(data, _THUNK)
    if typed(fields, _THUNK_TYPES):
        _, _, dynamic, _, _, _, _, entries, _, outputs = cast("list[Any]", fields)
        if typed(entries, _ENTRY_TYPES) and typed(outputs, _OUTPUT_TYPES):
            made = _outputs(outputs[0], cast("list[SandboxPath]", split(outputs[1])))
            return Outline(made, _dependencies(entries[0], entries[2]), dynamic)
    raise damaged(_THUNK)


def _dependencies(kinds: bytes, digests: bytes) -> tuple[ThunkId, ...]:
    if _OUTPUT not in kinds:
        return ()
    named = kinds.translate(None, bytes((_LINK, _DIRECTORY)))
    names = zip(named, split_digests(digests, len(named)), strict=True)
    return tuple(dict.fromkeys([ThunkId(name) for kind, name in names if kind == _OUTPUT]))


def _env(text: bytes) -> tuple[tuple[bytes, bytes], ...]:
    words = split(text)
    names = words[::2]
    if len(words) % 2 or not ascending(names):
        raise damaged(_THUNK)
    return tuple(zip(names, words[1::2], strict=True))


def _outputs(flags: bytes, paths: list[SandboxPath]) -> tuple[Output, ...]:
    if len(flags) == len(paths) == 1 and flags[0] < len(_OUTPUT_FLAGS):  # most
        return (Output(paths[0], *_OUTPUT_FLAGS[flags[0]]),)
    if len(flags) != len(paths) or len(set(paths)) != len(paths) or (flags and max(flags) >= len(_OUTPUT_FLAGS)):
        raise damaged(_THUNK)
    return tuple([Output(path, *_OUTPUT_FLAGS[flag]) for path, flag in zip(paths, flags, strict=True)])


# Groups


def encode_group(group: Group) -> bytes:
    """The canonical bytes of `group`; FormatError as for `encode_thunk`."""
    return pack([_GROUP, VERSION, _entry_columns(group.entries), _joined_groups(group.groups)])


def group_id(encoded: bytes) -> GroupId:
    """The id of the group that `encoded` encodes."""
    return GroupId(blake3(encoded).digest())


def decode_group(data: bytes) -> Group:
    """The group that `encode_group` made `data` of; FormatError for anything else."""
    match open_as(data, _GROUP):
        case [list(columns), bytes(groups)]:
            all_entries = _entries(columns, _GROUP)
            entries = [entry for entry in all_entries if not isinstance(entry, OutputOf)]
            if len(entries) == len(all_entries):
                return Group(tuple(entries), _groups(groups))
    raise damaged(_GROUP)


def _joined_groups(groups: tuple[GroupId, ...]) -> bytes:
    ids = sorted(set(groups))
    if len(ids) != len(groups):
        raise FormatError("a group is listed twice")
    return join_digests(ids)


def _groups(joined: bytes) -> tuple[GroupId, ...]:
    ids = split_digests(joined, len(joined) // DIGEST_SIZE)
    if not ascending(ids):
        raise damaged("list of groups")
    return cast("tuple[GroupId, ...]", ids)


# Entries


def _entry_path(entry: Entry) -> SandboxPath:
    return entry.path


def _entry_columns(entries: Sequence[Entry]) -> list[object]:
    kinds = bytearray()
    digests: list[bytes] = []
    numbers: list[int] = []
    targets: list[bytes] = []
    if len(entries) > 1:
        entries = sorted(entries, key=_entry_path)
    for entry in entries:
        if isinstance(entry, File):
            kinds.append(_EXECUTABLE if entry.executable else _FILE)
            digests.append(entry.blob[0])
            numbers.append(entry.blob[1])
        elif isinstance(entry, OutputOf):
            kinds.append(_OUTPUT)
            digests.append(entry.thunk)
            numbers.append(entry.index)
        elif isinstance(entry, Symlink):
            kinds.append(_LINK)
            targets.append(entry.target)
        else:
            kinds.append(_DIRECTORY)
    paths = [entry.path for entry in entries]
    if len(paths) > 1 and len(set(paths)) != len(paths):
        raise FormatError("a path is listed twice as an input")
    return [bytes(kinds), join_paths(paths), join_digests(digests), numbers, join(targets)]


def _entries(columns: list[object], what: str) -> list[Entry]:
    if typed(columns, _ENTRY_TYPES):
        kinds, joined, digests, raw_numbers, targets = cast("list[Any]", columns)
        paths = split_paths(joined)
        numbers = check_numbers(raw_numbers)
        names = split_digests(digests, len(numbers))
        if (
            not targets and len(kinds) == len(paths) == len(numbers) == 1 and kinds in b"fx"
        ):  # most thunks of one source
            return [File(paths[0], BlobId(names[0], numbers[0]), kinds == b"x")]
        links = split(targets)
        i = len(kinds) - kinds.count(_LINK) - kinds.count(_DIRECTORY)
        if len(kinds) == len(paths) and i == len(numbers) and kinds.count(_LINK) == len(links):
            if not ascending(paths):
                raise damaged(what)
            return _zip_entries(kinds, paths, zip(names, numbers, strict=True), iter(links))
    raise damaged(what)


def _zip_entries(
    kinds: bytes, paths: list[SandboxPath], names: Iterator[tuple[bytes, int]], links: Iterator[bytes]
) -> list[Entry]:
    """The entries of columns that have been found to be of fitting lengths."""
    entries: list[Entry] = []
    for kind, path in zip(kinds, paths, strict=True):
        if kind == _FILE:
            entries.append(File(path, BlobId(*next(names))))
        elif kind == _EXECUTABLE:
            entries.append(File(path, BlobId(*next(names)), True))
        elif kind == _OUTPUT:
            thunk, index = next(names)
            entries.append(OutputOf(path, cast("ThunkId", thunk), index))
        elif kind == _LINK:
            entries.append(Symlink(path, next(links)))
        elif kind == _DIRECTORY:
            entries.append(Directory(path))
        else:
            raise damaged("list of entries")
    return entries
