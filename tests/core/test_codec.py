"""The codec: golden bytes, canonical form, round trips, and refusal of everything else."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgpack import packb, unpackb

from gg.core import codec
from gg.core.ids import BlobId, GroupId, SandboxPath
from gg.core.reduction import decode_reduction, encode_reduction, outline_reduction
from gg.core.thunk import File, Group, Made, Output, Reduction, Thunk, Usage
from gg.errors import FormatError
from tests.core.codec_values import GROUP, REDUCTION, THUNK, UNIVERSE, groups, reductions, thunks

GOLDEN = Path(__file__).parents[1] / "golden"


def _decode_reduction(data: bytes) -> Reduction:
    return decode_reduction(data, UNIVERSE)


CASES: list[tuple[str, bytes, Callable[[bytes], object], object]] = [
    ("thunk-1.msgpack", codec.encode_thunk(THUNK), codec.decode_thunk, THUNK),
    ("group-1.msgpack", codec.encode_group(GROUP), codec.decode_group, GROUP),
    ("reduction-1.msgpack", encode_reduction(REDUCTION, UNIVERSE), _decode_reduction, REDUCTION),
]
# No deadline: how long an example takes says nothing on a busy machine.
quick = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
CASE_NAMES = [name for name, *_ in CASES]
each_kind = pytest.mark.parametrize(("name", "encoded", "decode", "value"), CASES, ids=CASE_NAMES)


@each_kind
def test_golden_bytes(name: str, encoded: bytes, decode: Callable[[bytes], object], value: object) -> None:
    golden = (GOLDEN / name).read_bytes()
    assert encoded == golden
    assert decode(golden) == value


def test_golden_ids() -> None:
    assert codec.thunk_id((GOLDEN / "thunk-1.msgpack").read_bytes()).hex() == THUNK_ID
    assert codec.group_id((GOLDEN / "group-1.msgpack").read_bytes()).hex() == GROUP_ID
    assert codec.thunk_id(b"x") == blake3(b"x").digest()


def test_the_format_as_documented() -> None:
    """The documented layout, read with nothing but msgpack."""
    raw = unpackb((GOLDEN / "thunk-1.msgpack").read_bytes())
    assert raw[:7] == ["gg-thunk", 1, "gcc/1", "compile", False, b"/usr/bin/gcc-12", b"/home/u/src"]
    assert raw[7] == b"gcc\0-c\0-DX=\xff\x80\0\0a b.c\0-o\0a.o\0"
    assert raw[8] == b"LC_ALL\0C\0PATH\0/usr/bin:/bin\0"
    kinds, paths, digests, numbers, targets = raw[9]
    assert kinds == b"flodx"
    assert paths.split(b"\0")[3] == b"/usr/include/empty"
    assert digests == b"\1" * 32 + b"\2" * 32 + b"\3" * 32
    assert numbers == [70000, 1, 2**33]
    assert targets == b"../inc/link.h\0"
    assert raw[10] == b"\4" * 32 + b"\5" * 32
    assert raw[11] == [b"\0\6", b"/home/u/src/a.o\0/home/u/src/a.d\0"]
    assert len(raw) == 12
    reads = unpackb((GOLDEN / "reduction-1.msgpack").read_bytes())[9]
    assert reads == [19, blake3(b"\0".join(UNIVERSE)).digest()[:8], b"\x81\x01\x04"]


@quick
@given(thunks)
def test_thunks_come_back(thunk: Thunk) -> None:
    assert codec.decode_thunk(codec.encode_thunk(thunk)) == thunk


@quick
@given(groups)
def test_groups_come_back(group: Group) -> None:
    assert codec.decode_group(codec.encode_group(group)) == group


@quick
@given(reductions())
def test_reductions_come_back(pair: tuple[Reduction, tuple[SandboxPath, ...]]) -> None:
    reduction, universe = pair
    encoded = encode_reduction(reduction, universe)
    assert decode_reduction(encoded, universe) == reduction
    assert decode_reduction(encoded, None) == reduction._replace(reads=None)


@quick
@given(thunks, st.randoms(use_true_random=False))
def test_the_order_of_sets_is_no_part_of_a_thunk(thunk: Thunk, rng: random.Random) -> None:
    entries, env, ids = list(thunk.entries), list(thunk.env), list(thunk.groups)
    for items in (entries, env, ids):
        rng.shuffle(items)
    shuffled = thunk._replace(entries=tuple(entries), env=tuple(env), groups=tuple(ids))
    assert codec.encode_thunk(shuffled) == codec.encode_thunk(thunk)


@pytest.mark.parametrize(
    "other",
    [
        THUNK._replace(argv=THUNK.argv[::-1]),
        THUNK._replace(argv=(*THUNK.argv[:3], *THUNK.argv[4:])),
        THUNK._replace(outputs=THUNK.outputs[::-1]),
        THUNK._replace(model="gcc/2"),
        THUNK._replace(dynamic=True),
        THUNK._replace(env=((b"LC_ALL", b"C\xff"), *THUNK.env[1:])),
        THUNK._replace(entries=THUNK.entries[1:]),
        THUNK._replace(groups=THUNK.groups[1:]),
    ],
)
def test_what_means_something_is_part_of_a_thunk(other: Thunk) -> None:
    assert codec.encode_thunk(other) != codec.encode_thunk(THUNK)


_FILE = File(SandboxPath(b"/a"), BlobId(b"1" * 32, 1))


@pytest.mark.parametrize(
    "bad",
    [
        THUNK._replace(entries=(_FILE, _FILE._replace(executable=True))),
        THUNK._replace(env=((b"A", b"1"), (b"A", b"2"))),
        THUNK._replace(outputs=(Output(SandboxPath(b"/o")), Output(SandboxPath(b"/o"), True))),
        THUNK._replace(groups=(GroupId(b"1" * 32), GroupId(b"1" * 32))),
        THUNK._replace(groups=(GroupId(b"1" * 31), GroupId(b"2" * 33))),
        THUNK._replace(argv=(b"a\0b",)),
        THUNK._replace(cwd=SandboxPath(b"relative")),
        THUNK._replace(cwd=SandboxPath(b"/a/../b")),
        THUNK._replace(cwd=SandboxPath(b"/a//b")),
        THUNK._replace(program=SandboxPath(b"/a/")),
        THUNK._replace(program=SandboxPath(b"")),
        THUNK._replace(entries=(_FILE._replace(path=SandboxPath(b"/x\0y")),)),
        THUNK._replace(entries=(_FILE._replace(path=SandboxPath(b"/x\0/y")),)),
        THUNK._replace(entries=(_FILE._replace(blob=BlobId(b"short", 1)),)),
        THUNK._replace(entries=(_FILE._replace(blob=BlobId(b"1" * 32, 2**64)),)),
    ],
)
def test_a_thunk_that_cannot_be_is_refused(bad: Thunk) -> None:
    with pytest.raises(FormatError):
        codec.encode_thunk(bad)


def test_the_root_and_hidden_files_are_paths() -> None:
    entries = (_FILE._replace(path=SandboxPath(b"/a/.hidden/..x")), _FILE._replace(path=SandboxPath(b"/b/...")))
    thunk = THUNK._replace(cwd=SandboxPath(b"/"), entries=entries)
    assert codec.decode_thunk(codec.encode_thunk(thunk)) == thunk


@each_kind
def test_a_truncated_encoding_is_refused(
    name: str, encoded: bytes, decode: Callable[[bytes], object], value: object
) -> None:
    for length in range(len(encoded)):
        with pytest.raises(FormatError):
            decode(encoded[:length])
    with pytest.raises(FormatError):
        decode(encoded + b"\xc0")


@each_kind
def test_a_changed_byte_is_refused_or_is_another_value(
    name: str, encoded: bytes, decode: Callable[[bytes], object], value: object
) -> None:
    """No byte is idle: whatever is still an encoding stands for another value, and is that value's own encoding."""
    for position in range(len(encoded)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(encoded)
            changed[position] ^= flip
            try:
                decoded = decode(bytes(changed))
            except FormatError:
                continue
            assert decoded != value
            assert _encode(decoded) == bytes(changed)


def _encode(value: object) -> bytes:
    match value:
        case Thunk():
            return codec.encode_thunk(value)
        case Group():
            return codec.encode_group(value)
        case Reduction():
            return encode_reduction(value, UNIVERSE)
    raise AssertionError(value)


@each_kind
def test_a_newer_version_says_so(name: str, encoded: bytes, decode: Callable[[bytes], object], value: object) -> None:
    tag, _, *fields = unpackb(encoded)
    with pytest.raises(FormatError, match=r"version 2") as caught:
        decode(packb([tag, 2, *fields, "something new"]))
    assert "newer gg" in caught.value.hint
    for version in (0, -1, True, 1.0, "1"):
        with pytest.raises(FormatError):
            decode(packb([tag, version, *fields]))


@each_kind
def test_other_kinds_are_refused(name: str, encoded: bytes, decode: Callable[[bytes], object], value: object) -> None:
    for _, other, _, _ in CASES:
        if other != encoded:
            with pytest.raises(FormatError):
                decode(other)


def test_encodings_that_are_not_canonical_are_refused() -> None:
    raw = unpackb(codec.encode_thunk(THUNK))

    def changed(position: int, value: object) -> bytes:
        fields = list(raw)
        fields[position] = value
        data: bytes = packb(fields)
        return data

    kinds, paths, digests, numbers, targets = raw[9]
    one, two = raw[10][:32], raw[10][32:]
    swapped = paths.split(b"\0")
    swapped[0], swapped[4] = swapped[4], swapped[0]
    for data in (
        changed(4, 0),
        changed(5, "/usr/bin/gcc-12"),
        changed(5, b"/usr/bin/../bin/gcc"),
        changed(3, "sleep"),
        changed(7, b"no end"),
        changed(8, b"PATH\0x\0LC_ALL\0C\0"),
        changed(8, b"LC_ALL\0C\0LC_ALL\0D\0"),
        changed(8, b"odd\0"),
        changed(9, [kinds, b"\0".join(swapped), digests, numbers, targets]),
        changed(9, [kinds, paths, digests, [70000, True, 2**33], targets]),
        changed(9, [kinds, paths, digests, [70000, 1.0, 2**33], targets]),
        changed(9, [kinds, paths, digests, [70000, -1, 2**33], targets]),
        changed(9, [b"flodf"[::-1], paths, digests, numbers, targets + b"more\0"]),
        changed(9, [b"flod?", paths, digests, numbers, targets]),
        changed(9, [kinds, paths, digests[:-1], numbers, targets]),
        changed(10, two + one),
        changed(10, one + one),
        changed(10, one + two[:-1]),
        changed(11, [b"\0\x08", raw[11][1]]),
        changed(11, [b"\0", raw[11][1]]),
        # The same value with an integer in a longer form than it needs.
        codec.encode_thunk(THUNK).replace(b"\xa8gg-thunk\x01", b"\xa8gg-thunk\xcc\x01"),
    ):
        with pytest.raises(FormatError):
            codec.decode_thunk(data)


def test_a_group_lists_no_outputs_of_thunks() -> None:
    raw = unpackb(codec.encode_thunk(THUNK))
    with pytest.raises(FormatError):
        codec.decode_group(packb(["gg-group", 1, raw[9], raw[10]]))


def test_reads_of_another_universe_are_refused() -> None:
    encoded = encode_reduction(REDUCTION, UNIVERSE)
    for universe in (UNIVERSE[1:], UNIVERSE[:-1], (*UNIVERSE[:-1], SandboxPath(b"/zzz")), ()):
        with pytest.raises(FormatError, match="another set of inputs"):
            decode_reduction(encoded, universe)
    with pytest.raises(FormatError, match="does not declare"):
        encode_reduction(REDUCTION, UNIVERSE[1:])


def test_a_path_twice_in_a_reduction_is_refused() -> None:
    twice = REDUCTION._replace(extra_inputs=REDUCTION.extra_inputs[:1] * 2)
    with pytest.raises(FormatError, match="twice"):
        encode_reduction(twice, UNIVERSE)


def test_metadata_stays_small() -> None:
    """What a header and a compile with 300 headers cost: the figures that the size of `.gg` follows from."""
    universe = tuple(SandboxPath(b"/usr/include/x86_64-linux-gnu/bits/header-%03d.h" % n) for n in range(300))
    reduction = Reduction(
        outputs=(Made(BlobId(b"1" * 32, 65432)), Made(BlobId(b"2" * 32, 5432))),
        stdout=b"",
        stderr=b"",
        usage=Usage(1_234_567_890, 1_234_567_890, 123_456_789),
        engine="local",
        reads=universe[::2],
    )
    assert len(encode_reduction(reduction, universe)) < 200
    header = Group((File(universe[0], BlobId(b"1" * 32, 12345)),))
    assert len(codec.encode_group(header)) - len(universe[0]) < 70


@quick
@given(st.binary(max_size=80))
def test_noise_is_refused(noise: bytes) -> None:
    for decode in (codec.decode_thunk, codec.decode_group, _decode_reduction):
        with pytest.raises(FormatError):
            decode(noise)


THUNK_ID = "767db9f53ab936816e03e9f2be3efbba7bc3a36af0de2b439adc2de88d90d370"
GROUP_ID = "620e7136cce32e727611e44cf711d350ad89315aa0d0cdf2431275dc065e64e5"


@quick
@given(thunk=thunks)
def test_an_outline_says_the_same_as_the_thunk(thunk: Thunk) -> None:
    outline = codec.outline_thunk(codec.encode_thunk(thunk))
    assert outline.outputs == thunk.outputs
    assert set(outline.dependencies) == set(thunk.dependencies())
    assert outline.dynamic == thunk.dynamic


@quick
@given(pair=reductions())
def test_an_outline_says_the_same_as_the_reduction(pair: tuple[Reduction, tuple[SandboxPath, ...]]) -> None:
    reduction, universe = pair
    assert outline_reduction(encode_reduction(reduction, universe)) == reduction._replace(reads=None)


def test_an_outline_of_something_else() -> None:
    for data in (b"", b"\x90", packb(["gg-thunk", 1]), packb(["gg-group", 1, [], b""]), packb(["gg-reduction", 1])):
        for outline in (codec.outline_thunk, outline_reduction):
            with pytest.raises(FormatError):
                outline(data)
