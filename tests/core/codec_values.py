"""Values for the codec's tests: fixed ones for the golden files, and hypothesis strategies for the rest."""

from __future__ import annotations

from hypothesis import strategies as st

from gg.core.ids import BlobId, GroupId, SandboxPath, ThunkId
from gg.core.thunk import (
    Directory,
    Entry,
    File,
    Group,
    Made,
    Output,
    OutputOf,
    Reduction,
    Symlink,
    Thunk,
    Usage,
    Work,
)


def _path(text: str) -> SandboxPath:
    return SandboxPath(text.encode())


def _fill(byte: int) -> bytes:
    return bytes([byte]) * 32


THUNK = Thunk(
    argv=(b"gcc", b"-c", b"-DX=\xff\x80", b"", b"a b.c", b"-o", b"a.o"),
    program=_path("/usr/bin/gcc-12"),
    cwd=_path("/home/u/src"),
    env=((b"LC_ALL", b"C"), (b"PATH", b"/usr/bin:/bin")),
    entries=(
        File(_path("/home/u/src/a b.c"), BlobId(_fill(1), 70000)),
        Symlink(_path("/home/u/src/link.h"), b"../inc/link.h"),
        OutputOf(_path("/home/u/src/made.h"), ThunkId(_fill(2)), 1),
        Directory(_path("/usr/include/empty")),
        File(_path("/usr/lib/gcc/cc1"), BlobId(_fill(3), 2**33), True),
    ),
    groups=(GroupId(_fill(4)), GroupId(_fill(5))),
    outputs=(Output(_path("/home/u/src/a.o")), Output(_path("/home/u/src/a.d"), False, True, True)),
    work=Work.COMPILE,
    model="gcc/1",
)
GROUP = Group(
    (
        File(_path("/usr/include/stdio.h"), BlobId(_fill(6), 0)),
        Symlink(_path("/usr/include/sys"), b"x86_64-linux-gnu/sys"),
    ),
    (GroupId(_fill(7)),),
)
UNIVERSE = tuple(_path(f"/usr/include/{n:02}.h") for n in range(19))
REDUCTION = Reduction(
    outputs=(Made(BlobId(_fill(8), 4096)), None, Made(BlobId(_fill(9), 1), True)),
    stdout=b"",
    stderr=b"a.c:1: warning: \xe2\x80\x98x\xe2\x80\x99\n",
    usage=Usage(25_000_000, 24_000_000, 33_554_432),
    engine="local",
    extra_outputs=((_path("/home/u/src/a.gcno"), Made(BlobId(_fill(10), 300))),),
    extra_inputs=((_path("/etc/x"), BlobId(_fill(11), 2)), (_path("/etc/y"), BlobId(_fill(12), 3))),
    reads=(UNIVERSE[0], UNIVERSE[7], UNIVERSE[8], UNIVERSE[18]),
)

# Drawn from what tends to go wrong: empty, hidden, dots, separators of the encoding, bytes that are no UTF-8.
strings = st.sampled_from((b"", b"a", b"-o", b"=", b"a=b", b"a b\n", b"\xff\xfe", b"x" * 300))
_component = st.sampled_from((b"a", b"b", b"a b", b".h", b"...", b"..x", b"\xff", b"\n", b"=", b"z" * 200))
paths = st.lists(_component, max_size=4).map(lambda parts: SandboxPath(b"/" + b"/".join(parts)))
digests = st.binary(min_size=32, max_size=32)
sizes = st.integers(0, 2**53 - 1)
blobs = st.builds(BlobId, digests, sizes)
files: st.SearchStrategy[File] = st.builds(File, paths, blobs, st.booleans())
symlinks: st.SearchStrategy[Symlink] = st.builds(Symlink, paths, strings)
directories: st.SearchStrategy[Directory] = st.builds(Directory, paths)
outputs_of: st.SearchStrategy[OutputOf] = st.builds(OutputOf, paths, digests.map(ThunkId), st.integers(0, 300))


def _entry_path(entry: Entry) -> bytes:
    return entry.path


group_entries = st.lists(st.one_of(files, symlinks, directories), max_size=6, unique_by=_entry_path)
thunk_entries = st.lists(st.one_of(files, symlinks, directories, outputs_of), max_size=6, unique_by=_entry_path)
group_ids = st.lists(digests.map(GroupId), max_size=4, unique=True).map(lambda ids: tuple(sorted(ids)))

groups = st.builds(lambda entries, ids: Group(tuple(sorted(entries, key=_entry_path)), ids), group_entries, group_ids)
thunks = st.builds(
    lambda argv, program, cwd, env, entries, ids, outputs, work, model, dynamic: Thunk(
        argv=tuple(argv),
        program=program,
        cwd=cwd,
        env=tuple(sorted(env.items())),
        entries=tuple(sorted(entries, key=_entry_path)),
        groups=ids,
        outputs=tuple(outputs),
        work=work,
        model=model,
        dynamic=dynamic,
    ),
    st.lists(strings, max_size=6),
    paths,
    paths,
    st.dictionaries(strings, strings, max_size=4),
    thunk_entries,
    group_ids,
    st.lists(
        st.builds(Output, paths, st.booleans(), st.booleans(), st.booleans()),
        max_size=3,
        unique_by=lambda output: output.path,
    ),
    st.sampled_from(Work),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.booleans(),
)
made = st.builds(Made, blobs, st.booleans())
universes = st.lists(paths, max_size=20, unique=True).map(lambda found: tuple(sorted(found)))


@st.composite
def reductions(draw: st.DrawFn) -> tuple[Reduction, tuple[SandboxPath, ...]]:
    """A reduction with a universe that its reads are in."""
    universe = draw(universes)
    some = st.sets(st.sampled_from(universe)) if universe else st.just(set[SandboxPath]())
    chosen = draw(st.none() | some)
    return (
        Reduction(
            outputs=tuple(draw(st.lists(st.none() | made, max_size=3))),
            stdout=draw(st.binary(max_size=20)),
            stderr=draw(st.binary(max_size=20)),
            usage=Usage(*draw(st.tuples(sizes, sizes, sizes))),
            engine=draw(st.sampled_from(("local", "lambda"))),
            extra_outputs=tuple(sorted(draw(st.dictionaries(paths, made, max_size=3)).items())),
            extra_inputs=tuple(sorted(draw(st.dictionaries(paths, blobs, max_size=3)).items())),
            reads=None if chosen is None else tuple(sorted(chosen)),
        ),
        universe,
    )
