"""Drafts that are recalled come to the thunks that a session without memory makes, whatever was edited in between."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from gg.core.thunk import Work
from gg.host.filedb import FileDB
from gg.models.drafts import Call, Depfile, Draft, Lexer, RunReal, Scan, SearchPath, Tool, Writes
from gg.record.capture import Capture
from gg.record.world import World
from gg.store.memory import MemoryStore

HEADERS = ("a.h", "b.h", "c.h", "deep/d.h", "deep/e.h", "limits.h")
PLACES = ("quote", "one", "two", ".")
SOURCES = ("x.c", "y.c", "sub/z.c")
FIRST = int(os.environ.get("GG_TEST_SEED", "0"))
EARLIER = 100_000_000  # the clock runs that much ahead, so that all files are settled


class Session:
    """One session's captures in the directory `root`."""

    def __init__(self, root: Path, store: MemoryStore, recall: bool) -> None:
        self.root = os.fsencode(root)
        (root / ".gg").mkdir(exist_ok=True)
        self.files = FileDB(self.root + b"/.gg")
        world = World(self.root, self.files, store, lambda paths: None)
        memory = self.root + b"/.gg/recall" if recall else None
        self.capture = Capture(world, store, recall=memory)

    def answers(self, sources: Sequence[str]) -> list[object]:
        """The thunk of each source, and what its dependency file lists; or why it has none."""
        return [self._answer(os.fsencode(source)) for source in sources]

    def _answer(self, source: bytes) -> object:
        search = SearchPath((b"quote",), (b"one", b"two", b"/usr/include"), 2)
        draft = Draft(
            model="test/1",
            work=Work.COMPILE,
            argv=(b"cc", source),
            program=b"/usr/bin/cc",
            env={b"PWD": self.root},
            inputs=(source,),
            outputs=(Writes(b"out.o"), Writes(b"out.d", soft=True)),
            tools=(),
            scans=(Scan(Lexer.C, (source,), search),),
            depfile=Depfile(b"out.d", (b"out.o",)),
        )
        call = Call(Tool("cc", b"/usr/bin/cc"), draft.argv, self.root, draft.env)
        found = self.capture.capture(draft, call)
        return found.why if isinstance(found, RunReal) else (found.id, sorted(found.headers))

    def close(self) -> int:
        """How many were recalled."""
        self.capture.close()
        self.files.close()
        return self.capture.recalled


def text(rng: random.Random) -> str:
    names = rng.sample(HEADERS, rng.randint(0, 3))
    lines = [f"#include <{name}>" if rng.random() < 0.4 else f'#include "{name}"' for name in names]
    if rng.random() < 0.15:
        lines.append(f"#if __has_include(<{rng.choice(HEADERS)}>)\n#endif")
    if rng.random() < 0.1:
        lines.append(f"#include_next <{rng.choice(HEADERS)}>")
    if rng.random() < 0.1:
        lines.append(f'#define NAME "{rng.choice(HEADERS)}"\n#include NAME')
    return "\n".join([*lines, f"int v{rng.randint(0, 3)};", ""])


def edit(rng: random.Random, root: Path, *, directories: bool = True) -> None:
    """One change of the tree, of the kinds that builds and people make. What a directory's name leads to is looked at
    once a session, so that changes between sessions only."""
    place = root / rng.choice(PLACES)
    path = place / rng.choice(HEADERS)
    with suppress(OSError):
        match rng.randint(0, 12):
            case 0 | 1 | 2:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text(rng))
            case 3 | 4:
                for each in (path, path.with_name(path.name + ".gch")):
                    shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)
            case 5:
                (root / rng.choice(SOURCES)).write_text(text(rng))
            case 6:  # the same bytes in another file
                path.write_bytes(path.read_bytes())
                os.utime(path, (1, 1))
            case 7:  # the same size and times
                info = path.stat()
                path.write_bytes(path.read_bytes().replace(b"int v0", b"int v9"))
                os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
            case 8 if directories:
                other = root / rng.choice(PLACES[:3])
                if place != root and other != place:
                    place.unlink() if place.is_symlink() else shutil.rmtree(place)
                    place.symlink_to(other.name)
            case 9 if directories:
                if place.is_symlink():
                    place.unlink()
                    place.mkdir()
            case 12 if directories and place != root and not place.is_symlink():  # the same directory by another name
                place.rename(root / f"other{(count := len(list(root.iterdir())))}")
                place.symlink_to(f"other{count}")
            case 10:
                path.with_name(path.name + ".gch").write_bytes(b"gpch")
            case 11:
                path.mkdir(parents=True) if rng.random() < 0.2 else path.chmod(rng.choice((0o644, 0o755)))


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + EARLIER)


def compared(root: Path, store: MemoryStore, rng: random.Random, edits: Sequence[int]) -> int:
    """A session with memory in which as many edits happen as `edits` says before each look; how many it recalled."""
    session: Session | None = None
    for i, count in enumerate(edits):
        for _ in range(count):
            edit(rng, root, directories=i == 0)
        time.sleep(0.012)  # more than a tick of the kernel's clock
        session = session or Session(root, store, recall=True)
        fresh = Session(root, MemoryStore(), recall=False)
        some = rng.sample(SOURCES, rng.randint(1, len(SOURCES)))
        assert session.answers(some) == fresh.answers(some), f"after {edits[: i + 1]} edits"
        fresh.close()
    assert session
    return session.close()


def history(root: Path, seed: int) -> int:
    """A tree and its sessions, at random; how many answers were recalled."""
    rng, store = random.Random(seed), MemoryStore()
    for place in (*PLACES, "sub"):
        (root / place).mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        (root / source).write_text(text(rng))
    for _ in range(10):
        edit(rng, root)
    return sum(
        compared(root, store, rng, [rng.choice((0, 0, 1, 2)), *([1] * rng.choice((0, 0, 1)))]) for _ in range(16)
    )


def test_random_edits(tmp_path: Path, ahead: None) -> None:
    found = [history(tmp_path.resolve() / str(seed), seed) for seed in range(FIRST, FIRST + 12)]
    assert sum(found) > 60, found


def test_nothing_changed_all_is_recalled(tmp_path: Path, ahead: None) -> None:
    root, store = tmp_path.resolve() / "tree", MemoryStore()
    for source in SOURCES:
        (root / source).parent.mkdir(parents=True, exist_ok=True)
        (root / source).write_text('#include "a.h"\n#include <limits.h>\n')
    (root / "a.h").write_text("int a;\n")
    for expected in (0, len(SOURCES), len(SOURCES)):
        time.sleep(0.012)
        session = Session(root, store, recall=True)
        session.answers(SOURCES)
        assert session.close() == expected


@pytest.mark.parametrize(
    ("before", "then"),
    [
        (("two/a.h", "int a;\n"), ("two/a.h", "int b;\n")),
        (("two/a.h", "int a;\n"), ("two/a.h", '#include "c.h"\n')),
        (("two/a.h", "int a;\n"), ("one/a.h", "int a;\n")),
    ],
)
def test_an_answer_that_was_outdated_before_the_session_ended(
    tmp_path: Path, ahead: None, before: tuple[str, str], then: tuple[str, str]
) -> None:
    """Something is edited after one source was captured, and another source that reads it is captured then."""
    root, store = tmp_path.resolve() / "tree", MemoryStore()
    for name, content in (
        ("x.c", "#include <a.h>\n"),
        ("y.c", "#include <a.h>\n"),
        before,
        ("two/c.h", ""),
        ("one/b.h", ""),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    time.sleep(0.012)
    session = Session(root, store, recall=True)
    session.answers(["x.c"])
    (root / then[0]).write_text(then[1])
    time.sleep(0.012)
    session.answers(["y.c"])
    session.close()
    later, fresh = Session(root, store, recall=True), Session(root, MemoryStore(), recall=False)
    assert later.answers(["x.c", "y.c"]) == fresh.answers(["x.c", "y.c"])
    assert later.close() == 1
