"""Reductions as bytes: canonical, versioned msgpack, as `gg.core.codec` describes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any, TypeVar, cast

from blake3 import blake3

from gg.core.bounded import MOST_NUMBER, damaged
from gg.core.columns import (
    VERSION,
    ascending,
    check_numbers,
    fields_of,
    join_digests,
    join_paths,
    open_as,
    pack,
    split_digests,
    split_paths,
    typed,
)
from gg.core.ids import DIGEST_SIZE, BlobId, SandboxPath
from gg.core.thunk import Made, Reduction, Usage
from gg.errors import FormatError

_REDUCTION = "gg-reduction"
_CHECK_SIZE = 8
_FILE, _EXECUTABLE, _LEFT_OUT = b"fx-"
_TO_DIGITS = bytes.maketrans(b"\0\1", b"01")
_FROM_DIGITS = bytes.maketrans(b"01", b"\0\1")

_NO_OUTPUTS: list[object] = [b"", b"", b"", []]
_NO_INPUTS: list[object] = [b"", b"", []]
_MADE_TYPES: list[type] = [bytes, bytes, list]
_USAGE_TYPES: list[type] = [int, int, int]
_OUTPUTS_TYPES: list[type] = [bytes, bytes, bytes, list]
_INPUTS_TYPES: list[type] = [bytes, bytes, list]
_REDUCTION_TYPES: list[type] = [list, bytes, bytes, list, str, list, list]
_READS_TYPES: list[type] = [int, bytes, bytes]

T = TypeVar("T")


def encode_reduction(reduction: Reduction, universe: Sequence[SandboxPath]) -> bytes:
    """The canonical bytes of `reduction`, its reads as one bit for each path of `universe`.

    `universe` is the sorted paths of all that the thunk declares, groups expanded. A compile that declares 300 headers
    takes about 180 bytes. FormatError if a read is not in the universe, or an extra file comes twice.
    """
    usage = reduction.usage
    extra_outputs = _by_path(reduction.extra_outputs)
    extra_inputs = _by_path(reduction.extra_inputs)
    return pack(
        [
            _REDUCTION,
            VERSION,
            _made_columns(reduction.outputs),
            reduction.stdout,
            reduction.stderr,
            [usage.wall_ns, usage.cpu_ns, usage.memory],
            reduction.engine,
            [join_paths([p for p, _ in extra_outputs]), *_made_columns([made for _, made in extra_outputs])],
            [
                join_paths([path for path, _ in extra_inputs]),
                join_digests([blob.digest for _, blob in extra_inputs]),
                [blob.size for _, blob in extra_inputs],
            ],
            None if reduction.reads is None else _bitmap(reduction.reads, universe),
        ]
    )


def ran_on(data: bytes, engine: str) -> bytes:
    """`data`, the encoding of a reduction, with another engine's name in it."""
    fields = fields_of(data, _REDUCTION)
    if not typed(fields[:7], _REDUCTION_TYPES):
        raise damaged(_REDUCTION)
    fields[4] = engine
    return pack([_REDUCTION, VERSION, *fields])


def decode_reduction(data: bytes, universe: Sequence[SandboxPath] | None) -> Reduction:
    """The reduction that `encode_reduction` made `data` of; FormatError for anything else, or for another universe.

    With None for the universe, `reads` is left out (None). That is for those who need the outputs only, and so need not
    expand the thunk's groups.
    """
    fields = open_as(data, _REDUCTION)
    reduction = _reduction(fields)
    reads = fields[7]
    return reduction if reads is None else reduction._replace(reads=_reads(reads, universe))


def outline_reduction(data: bytes) -> Reduction:
    """`decode_reduction` without `reads` in half the time. FormatError for what is no reduction, if it is noticed."""
    return _reduction(fields_of(data, _REDUCTION))


def _reduction(fields: list[object]) -> Reduction:
    """Without `reads`."""
    if len(fields) == 8 and typed(fields[:7], _REDUCTION_TYPES):  # a match statement would take three times as long
        made, stdout, stderr, usage, engine, more, inputs, _ = cast("list[Any]", fields)
        if typed(made, _MADE_TYPES) and typed(usage, _USAGE_TYPES) and min(usage) >= 0 and max(usage) <= MOST_NUMBER:
            plain = Reduction(_made(*made), stdout, stderr, Usage._make(usage), engine)
            if more == _NO_OUTPUTS and inputs == _NO_INPUTS:  # nearly all
                return plain
            if typed(more, _OUTPUTS_TYPES) and typed(inputs, _INPUTS_TYPES):
                outputs = _extra_outputs(more[0], _made(*more[1:]))
                return plain._replace(extra_outputs=outputs, extra_inputs=_extra_inputs(*inputs))
    raise damaged(_REDUCTION)


def _made_columns(outputs: Sequence[Made | None]) -> list[object]:
    made = [output for output in outputs if output is not None]
    marks = bytes([_LEFT_OUT if m is None else _EXECUTABLE if m.executable else _FILE for m in outputs])
    return [marks, join_digests([m.blob.digest for m in made]), [m.blob.size for m in made]]


def _made(marks: bytes, digests: bytes, sizes: list[object]) -> tuple[Made | None, ...]:
    if not (marks or digests or sizes):
        return ()
    if len(marks) == 1 and marks in b"fx" and len(digests) == DIGEST_SIZE and len(sizes) == 1:  # nearly all
        (size,) = sizes
        if type(size) is int and 0 <= size <= MOST_NUMBER:
            return (Made(BlobId(digests, size), marks == b"x"),)
    present = marks.count(_FILE) + marks.count(_EXECUTABLE)
    if present != len(sizes) or present + marks.count(_LEFT_OUT) != len(marks):
        raise damaged(_REDUCTION)
    blobs = iter(_blobs(digests, sizes))
    return tuple([None if mark == _LEFT_OUT else Made(next(blobs), mark == _EXECUTABLE) for mark in marks])


def _extra_outputs(paths: bytes, made: tuple[Made | None, ...]) -> tuple[tuple[SandboxPath, Made], ...]:
    if not (paths or made):
        return ()
    present = [one for one in made if one is not None]
    if len(present) != len(made):
        raise damaged(_REDUCTION)
    return _with_paths(paths, present)


def _extra_inputs(paths: bytes, digests: bytes, sizes: list[object]) -> tuple[tuple[SandboxPath, BlobId], ...]:
    return _with_paths(paths, _blobs(digests, sizes)) if paths or digests or sizes else ()


def _blobs(digests: bytes, sizes: list[object]) -> list[BlobId]:
    return list(map(BlobId, split_digests(digests, len(sizes)), check_numbers(sizes)))


def _by_path(pairs: tuple[tuple[SandboxPath, T], ...]) -> list[tuple[SandboxPath, T]]:
    by_path = dict(pairs)
    if len(by_path) != len(pairs):
        raise FormatError("a reduction has an extra file twice")
    return [(path, by_path[path]) for path in sorted(by_path)]


def _with_paths(joined: bytes, values: Sequence[T]) -> tuple[tuple[SandboxPath, T], ...]:
    paths = split_paths(joined)
    if len(paths) != len(values) or not ascending(paths):
        raise damaged(_REDUCTION)
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
    if not typed(raw, _READS_TYPES):
        raise damaged(_REDUCTION)
    n, check, bits = cast("list[Any]", raw)
    if n < 0 or len(check) != _CHECK_SIZE or len(bits) != (n + 7) // 8:
        raise damaged(_REDUCTION)
    number = int.from_bytes(bits, "little")
    if number >> n:
        raise damaged(_REDUCTION)
    if universe is None:
        return None
    if n != len(universe) or check != _universe_check(universe):
        raise FormatError("a reduction's reads are of another set of inputs")
    mask = f"{number:0{n}b}".encode()[::-1].translate(_FROM_DIGITS)
    return tuple(compress(universe, mask))
