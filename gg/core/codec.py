"""Thunks, groups and reductions as bytes: canonical, versioned msgpack, written field by field. Version 1.

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

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from operator import lt
from struct import unpack
from typing import Any, TypeVar, cast

from blake3 import blake3
from msgpack import packb, unpackb

from gg.core.ids import DIGEST_SIZE, BlobId, GroupId, SandboxPath, ThunkId, sandbox_path
from gg.core.named import NamedTuple
from gg.core.thunk import Directory, Entry, File, Group, Made, Output, OutputOf, Reduction, Symlink, Thunk, Usage, Work
from gg.errors import FormatError

VERSION = 1
_THUNK, _GROUP, _REDUCTION = "gg-thunk", "gg-group", "gg-reduction"
_CHECK_SIZE = 8
_FILE, _EXECUTABLE, _OUTPUT, _LINK, _DIRECTORY, _LEFT_OUT = b"fxold-"
_WORKS = {work.value: work for work in Work}
_OUTPUT_FLAGS = [(bool(flags & 1), bool(flags & 2), bool(flags & 4)) for flags in range(8)]
_TO_DIGITS = bytes.maketrans(b"\0\1", b"01")
_FROM_DIGITS = bytes.maketrans(b"01", b"\0\1")

_NO_OUTPUTS: list[object] = [b"", b"", b"", []]
_NO_INPUTS: list[object] = [b"", b"", []]
_MADE_TYPES: list[type] = [bytes, bytes, list]
_USAGE_TYPES: list[type] = [int, int, int]
_OUTPUTS_TYPES: list[type] = [bytes, bytes, bytes, list]
_INPUTS_TYPES: list[type] = [bytes, bytes, list]
_REDUCTION_TYPES: list[type] = [list, bytes, bytes, list, str, list, list]
_THUNK_TYPES: list[type] = [str, str, bool, bytes, bytes, bytes, bytes, list, bytes, list]
_OUTPUT_TYPES: list[type] = [bytes, bytes]
_READS_TYPES: list[type] = [int, bytes, bytes]
_ENTRY_TYPES: list[type] = [bytes, bytes, bytes, list, bytes]

T = TypeVar("T")


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
    _check_paths((thunk.program, thunk.cwd))
    return _pack(
        [
            _THUNK,
            VERSION,
            thunk.model,
            thunk.work.value,
            thunk.dynamic,
            thunk.program,
            thunk.cwd,
            _join(thunk.argv),
            _join([text for pair in env for text in pair]),
            _entry_columns(thunk.entries),
            _joined_groups(thunk.groups),
            [bytes([o.executable + 2 * o.optional + 4 * o.soft for o in thunk.outputs]), _join_paths(outputs)],
        ]
    )


def thunk_id(encoded: bytes) -> ThunkId:
    """The id of the thunk that `encoded` encodes."""
    return ThunkId(blake3(encoded).digest())


def decode_thunk(data: bytes) -> Thunk:
    """The thunk that `encode_thunk` made `data` of; FormatError for anything else."""
    fields = _open(data, _THUNK)
    if _typed(fields, _THUNK_TYPES):  # a match statement would take twice as long
        model, work, dynamic, program, cwd, argv, env, entries, groups, outputs = cast("list[Any]", fields)
        if work in _WORKS and _typed(outputs, _OUTPUT_TYPES):
            path, directory = _split_paths(program + b"\0" + cwd + b"\0")
            return Thunk(
                argv=tuple(_split(argv)),
                program=path,
                cwd=directory,
                env=_env(env),
                entries=tuple(_entries(entries, _THUNK)),
                groups=_groups(groups),
                outputs=_outputs(outputs[0], _split_paths(outputs[1])),
                work=_WORKS[work],
                model=model,
                dynamic=dynamic,
            )
    raise _damaged(_THUNK)


class Outline(NamedTuple):
    """What of a thunk must be known to find and place what it has made: decoded in a fifth of the time."""

    outputs: tuple[Output, ...]
    dependencies: tuple[ThunkId, ...]
    dynamic: bool


def outline_thunk(data: bytes) -> Outline:
    """The outline of the thunk that `encode_thunk` made `data` of. FormatError for what is no thunk, if it is noticed."""
    fields = _fields(data, _THUNK)
    if _typed(fields, _THUNK_TYPES):
        _, _, dynamic, _, _, _, _, entries, _, outputs = cast("list[Any]", fields)
        if _typed(entries, _ENTRY_TYPES) and _typed(outputs, _OUTPUT_TYPES):
            made = _outputs(outputs[0], cast("list[SandboxPath]", _split(outputs[1])))
            return Outline(made, _dependencies(entries[0], entries[2]), dynamic)
    raise _damaged(_THUNK)


def _dependencies(kinds: bytes, digests: bytes) -> tuple[ThunkId, ...]:
    if _OUTPUT not in kinds:
        return ()
    named = kinds.translate(None, bytes((_LINK, _DIRECTORY)))
    names = zip(named, _digests(digests, len(named)), strict=True)
    return tuple(dict.fromkeys([ThunkId(name) for kind, name in names if kind == _OUTPUT]))


def _env(text: bytes) -> tuple[tuple[bytes, bytes], ...]:
    words = _split(text)
    names = words[::2]
    if len(words) % 2 or not _ascending(names):
        raise _damaged(_THUNK)
    return tuple(zip(names, words[1::2], strict=True))


def _outputs(flags: bytes, paths: list[SandboxPath]) -> tuple[Output, ...]:
    if len(flags) == len(paths) == 1 and flags[0] < len(_OUTPUT_FLAGS):  # most
        return (Output(paths[0], *_OUTPUT_FLAGS[flags[0]]),)
    if len(flags) != len(paths) or len(set(paths)) != len(paths) or (flags and max(flags) >= len(_OUTPUT_FLAGS)):
        raise _damaged(_THUNK)
    return tuple([Output(path, *_OUTPUT_FLAGS[flag]) for path, flag in zip(paths, flags, strict=True)])


# Groups


def encode_group(group: Group) -> bytes:
    """The canonical bytes of `group`; FormatError as for `encode_thunk`."""
    return _pack([_GROUP, VERSION, _entry_columns(group.entries), _joined_groups(group.groups)])


def group_id(encoded: bytes) -> GroupId:
    """The id of the group that `encoded` encodes."""
    return GroupId(blake3(encoded).digest())


def decode_group(data: bytes) -> Group:
    """The group that `encode_group` made `data` of; FormatError for anything else."""
    match _open(data, _GROUP):
        case [list(columns), bytes(groups)]:
            all_entries = _entries(columns, _GROUP)
            entries = [entry for entry in all_entries if not isinstance(entry, OutputOf)]
            if len(entries) == len(all_entries):
                return Group(tuple(entries), _groups(groups))
    raise _damaged(_GROUP)


# Reductions


def encode_reduction(reduction: Reduction, universe: Sequence[SandboxPath]) -> bytes:
    """The canonical bytes of `reduction`, its reads as one bit for each path of `universe`.

    `universe` is the sorted paths of all that the thunk declares, groups expanded. A compile that declares 300 headers
    takes about 180 bytes. FormatError if a read is not in the universe, or an extra file comes twice.
    """
    usage = reduction.usage
    extra_outputs = _by_path(reduction.extra_outputs)
    extra_inputs = _by_path(reduction.extra_inputs)
    return _pack(
        [
            _REDUCTION,
            VERSION,
            _made_columns(reduction.outputs),
            reduction.stdout,
            reduction.stderr,
            [usage.wall_ns, usage.cpu_ns, usage.memory],
            reduction.engine,
            [_join_paths([p for p, _ in extra_outputs]), *_made_columns([made for _, made in extra_outputs])],
            [
                _join_paths([path for path, _ in extra_inputs]),
                _joined_digests([blob.digest for _, blob in extra_inputs]),
                [blob.size for _, blob in extra_inputs],
            ],
            None if reduction.reads is None else _bitmap(reduction.reads, universe),
        ]
    )


def ran_on(data: bytes, engine: str) -> bytes:
    """`data`, the encoding of a reduction, with another engine's name in it."""
    fields = _fields(data, _REDUCTION)
    if not _typed(fields[:7], _REDUCTION_TYPES):
        raise _damaged(_REDUCTION)
    fields[4] = engine
    return _pack([_REDUCTION, VERSION, *fields])


def decode_reduction(data: bytes, universe: Sequence[SandboxPath] | None) -> Reduction:
    """The reduction that `encode_reduction` made `data` of; FormatError for anything else, or for another universe.

    With None for the universe, `reads` is left out (None). That is for those who need the outputs only, and so need not
    expand the thunk's groups.
    """
    fields = _open(data, _REDUCTION)
    reduction = _reduction(fields)
    reads = fields[7]
    return reduction if reads is None else reduction._replace(reads=_reads(reads, universe))


def outline_reduction(data: bytes) -> Reduction:
    """`decode_reduction` without `reads` in half the time. FormatError for what is no reduction, if it is noticed."""
    return _reduction(_fields(data, _REDUCTION))


def _reduction(fields: list[object]) -> Reduction:
    """Without `reads`."""
    if len(fields) == 8 and _typed(fields[:7], _REDUCTION_TYPES):  # a match statement would take three times as long
        made, stdout, stderr, usage, engine, more, inputs, _ = cast("list[Any]", fields)
        if _typed(made, _MADE_TYPES) and _typed(usage, _USAGE_TYPES) and min(usage) >= 0:
            plain = Reduction(_made(*made), stdout, stderr, Usage._make(usage), engine)
            if more == _NO_OUTPUTS and inputs == _NO_INPUTS:  # nearly all
                return plain
            if _typed(more, _OUTPUTS_TYPES) and _typed(inputs, _INPUTS_TYPES):
                outputs = _extra_outputs(more[0], _made(*more[1:]))
                return plain._replace(extra_outputs=outputs, extra_inputs=_extra_inputs(*inputs))
    raise _damaged(_REDUCTION)


def _made_columns(outputs: Sequence[Made | None]) -> list[object]:
    made = [output for output in outputs if output is not None]
    marks = bytes([_LEFT_OUT if m is None else _EXECUTABLE if m.executable else _FILE for m in outputs])
    return [marks, _joined_digests([m.blob.digest for m in made]), [m.blob.size for m in made]]


def _made(marks: bytes, digests: bytes, sizes: list[object]) -> tuple[Made | None, ...]:
    if not (marks or digests or sizes):
        return ()
    if len(marks) == 1 and marks in b"fx" and len(digests) == DIGEST_SIZE and len(sizes) == 1:  # nearly all
        (size,) = sizes
        if type(size) is int and size >= 0:
            return (Made(BlobId(digests, size), marks == b"x"),)
    present = marks.count(_FILE) + marks.count(_EXECUTABLE)
    if present != len(sizes) or present + marks.count(_LEFT_OUT) != len(marks):
        raise _damaged(_REDUCTION)
    blobs = iter(_blobs(digests, sizes))
    return tuple([None if mark == _LEFT_OUT else Made(next(blobs), mark == _EXECUTABLE) for mark in marks])


def _extra_outputs(paths: bytes, made: tuple[Made | None, ...]) -> tuple[tuple[SandboxPath, Made], ...]:
    if not (paths or made):
        return ()
    present = [one for one in made if one is not None]
    if len(present) != len(made):
        raise _damaged(_REDUCTION)
    return _with_paths(paths, present)


def _extra_inputs(paths: bytes, digests: bytes, sizes: list[object]) -> tuple[tuple[SandboxPath, BlobId], ...]:
    return _with_paths(paths, _blobs(digests, sizes)) if paths or digests or sizes else ()


def _blobs(digests: bytes, sizes: list[object]) -> list[BlobId]:
    return list(map(BlobId, _digests(digests, len(sizes)), _check_numbers(sizes)))


def _by_path(pairs: tuple[tuple[SandboxPath, T], ...]) -> list[tuple[SandboxPath, T]]:
    by_path = dict(pairs)
    if len(by_path) != len(pairs):
        raise FormatError("a reduction has an extra file twice")
    return [(path, by_path[path]) for path in sorted(by_path)]


def _with_paths(joined: bytes, values: Sequence[T]) -> tuple[tuple[SandboxPath, T], ...]:
    paths = _split_paths(joined)
    if len(paths) != len(values) or not _ascending(paths):
        raise _damaged(_REDUCTION)
    return tuple(zip(paths, values, strict=True))


def _universe_check(universe: Sequence[SandboxPath]) -> bytes:
    return blake3(b"\0".join(universe)).digest(length=_CHECK_SIZE)


def _bitmap(reads: Iterable[SandboxPath], universe: Sequence[SandboxPath]) -> list[object]:
    # Through binary digits, because int() and to_bytes() turn 300 of them into bits without a loop in Python.
    wanted = set(reads)
    mask = bytes(map(wanted.__contains__, universe))
    if mask.count(1) != len(wanted):
        stray = min(wanted.difference(universe), default=b"")
        raise FormatError(f"a reduction reads {stray!r}, which its thunk does not declare")
    bits = int(mask.translate(_TO_DIGITS)[::-1] or b"0", 2)
    return [len(mask), _universe_check(universe), bits.to_bytes((len(mask) + 7) // 8, "little")]


def _reads(raw: object, universe: Sequence[SandboxPath] | None) -> tuple[SandboxPath, ...] | None:
    if not _typed(raw, _READS_TYPES):
        raise _damaged(_REDUCTION)
    n, check, bits = cast("list[Any]", raw)
    if n < 0 or len(check) != _CHECK_SIZE or len(bits) != (n + 7) // 8:
        raise _damaged(_REDUCTION)
    number = int.from_bytes(bits, "little")
    if number >> n:
        raise _damaged(_REDUCTION)
    if universe is None:
        return None
    if n != len(universe) or check != _universe_check(universe):
        raise FormatError("a reduction's reads are of another set of inputs")
    mask = f"{number:0{n}b}".encode()[::-1].translate(_FROM_DIGITS)
    return tuple(compress(universe, mask))


# Columns


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
    return [bytes(kinds), _join_paths(paths), _joined_digests(digests), numbers, _join(targets)]


def _entries(columns: list[object], what: str) -> list[Entry]:
    if _typed(columns, _ENTRY_TYPES):
        kinds, joined, digests, raw_numbers, targets = cast("list[Any]", columns)
        paths = _split_paths(joined)
        numbers = _check_numbers(raw_numbers)
        names = _digests(digests, len(numbers))
        if (
            not targets and len(kinds) == len(paths) == len(numbers) == 1 and kinds in b"fx"
        ):  # most thunks of one source
            return [File(paths[0], BlobId(names[0], numbers[0]), kinds == b"x")]
        links = _split(targets)
        i = len(kinds) - kinds.count(_LINK) - kinds.count(_DIRECTORY)
        if len(kinds) == len(paths) and i == len(numbers) and kinds.count(_LINK) == len(links):
            if not _ascending(paths):
                raise _damaged(what)
            return _zip_entries(kinds, paths, zip(names, numbers, strict=True), iter(links))
    raise _damaged(what)


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
            raise _damaged("list of entries")
    return entries


def _ascending(strings: Sequence[bytes]) -> bool:
    """Whether they are sorted, each once."""
    return all(map(lt, strings, strings[1:]))


def _join(strings: Sequence[bytes]) -> bytes:
    if not strings:
        return b""
    text = b"\0".join(strings) + b"\0"
    if text.count(b"\0") != len(strings):
        raise FormatError("a string of a thunk holds a NUL byte")
    return text


def _split(text: bytes) -> list[bytes]:
    strings = text.split(b"\0")
    if strings.pop():
        raise _damaged("list of strings")
    return strings


def _join_paths(paths: Sequence[SandboxPath]) -> bytes:
    _check_paths(paths)
    return b"\0".join(paths) + b"\0" if paths else b""


def _split_paths(text: bytes) -> list[SandboxPath]:
    paths = cast("list[SandboxPath]", _split(text))
    _check_paths(paths)
    return paths


def _check_paths(paths: Sequence[SandboxPath]) -> None:
    """FormatError unless each is absolute and clean. Looks at all of them as one text, which is fast, then at each."""
    text = b"\0" + b"\0".join(paths) + b"\0"
    n = len(paths)
    if text.count(b"\0/") == n == text.count(b"\0") - 1 and not (b"/." in text or b"//" in text or b"/\0" in text):
        return
    for path in paths:
        if path.count(b"\0") or sandbox_path(path) != path or (path.endswith(b"/") and path != b"/"):
            raise FormatError(f"{path!r} is not a path that a thunk can hold")


def _joined_digests(digests: Sequence[bytes]) -> bytes:
    joined = b"".join(digests)
    if len(joined) != DIGEST_SIZE * len(digests) or any(len(digest) != DIGEST_SIZE for digest in digests):
        raise FormatError("a digest does not have 32 bytes")
    return joined


def _digests(joined: bytes, n: int) -> tuple[bytes, ...]:
    if len(joined) != DIGEST_SIZE * n:
        raise _damaged("list of digests")
    return unpack("32s" * n, joined)


def _joined_groups(groups: tuple[GroupId, ...]) -> bytes:
    ids = sorted(set(groups))
    if len(ids) != len(groups):
        raise FormatError("a group is listed twice")
    return _joined_digests(ids)


def _groups(joined: bytes) -> tuple[GroupId, ...]:
    ids = _digests(joined, len(joined) // DIGEST_SIZE)
    if not _ascending(ids):
        raise _damaged("list of groups")
    return cast("tuple[GroupId, ...]", ids)


def _check_numbers(raw: list[object]) -> list[int]:
    numbers = [n for n in raw if type(n) is int and n >= 0]
    if len(numbers) != len(raw):
        raise _damaged("number")
    return numbers


# The frame


def _pack(fields: list[object]) -> bytes:
    try:
        data: bytes = packb(fields)
    except (OverflowError, ValueError) as error:
        raise FormatError(f"a value cannot be encoded: {error}") from error
    return data


def _open(data: bytes, tag: str) -> list[object]:
    """The fields after tag and version, of bytes that are canonical."""
    fields = _fields(data, tag)
    if packb([tag, VERSION, *fields]) != data:
        raise _damaged(tag)
    return fields


def _fields(data: bytes, tag: str) -> list[object]:
    """The fields after tag and version."""
    try:
        raw: object = unpackb(data)
    except Exception as error:  # the unpacker's own classes share no base but this
        raise _damaged(tag) from error
    if type(raw) is list and len(raw) > 1 and raw[0] == tag and type(raw[1]) is int:
        version = raw[1]
        if version > VERSION:
            raise FormatError(
                f"this gg knows version {VERSION} of a {tag}, and met version {version}",
                hint="a newer gg wrote it: use that one",
            )
        if version == VERSION:
            return raw[2:]
    raise _damaged(tag)


def _typed(raw: object, types: Sequence[type]) -> bool:
    """Whether `raw` is a list of values of just these types."""
    return type(raw) is list and list(map(type, raw)) == types


def _damaged(tag: str) -> FormatError:
    return FormatError(f"a {tag} is damaged", hint="it was cut short or changed, or something else wrote it")
