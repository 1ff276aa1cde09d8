"""A hostile tree: whatever gg is asked to do in it touches nothing outside of it, believes nothing of it and asks nobody for it.

Each command runs under strace; what is opened for writing, made, changed, removed, run and connected to must be the tree's own, or
state of this user's. The home is compared byte by byte besides.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from tests.e2e import hostile
from tests.e2e.project import SCRIPTS, Project
from tests.e2e.traced import Trace, trace

ALLOWED_DEVICES = ("/dev/null", "/dev/tty", "/proc/", "/dev/shm/")


def snapshot(place: Path) -> dict[str, tuple[object, ...]]:
    """All of a directory but gg's state: modes, times, sizes, bytes."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(place):
        if directory == str(place / ".cache" / "gg"):
            names.clear()
            continue
        for name in (*names, *files):
            path = os.path.join(directory, name)
            info = os.lstat(path)
            if name != ".cache" and path != str(place / ".cache" / "gg"):
                data = Path(path).read_bytes() if stat.S_ISREG(info.st_mode) else b""
                found[path] = (info.st_mode, info.st_uid, info.st_mtime_ns if stat.S_ISREG(info.st_mode) else 0, data)
    return found


class Stage:
    """A home, a tree in a directory of a stranger's, and a place for temporary files."""

    def __init__(self, top: Path, env: dict[str, str]) -> None:
        self.home = hostile.home(top / "home")
        self.above = top / "theirs"
        self.above.mkdir()
        self.root = self.above / "tree"
        hostile.tree(self.root, self.home)
        hostile.above(self.above, self.home)
        self.notes = top / "notes"
        self.notes.mkdir()
        temporary = top / "tmp"
        temporary.mkdir()
        self.env = {**env, "HOME": str(self.home), "TMPDIR": str(temporary)}
        self.free = (str(self.root), str(self.home / ".cache" / "gg"), str(temporary), *ALLOWED_DEVICES)

    def run(self, *words: str) -> Trace:
        program, *rest = words
        return trace([SCRIPTS / program, *rest], self.root, self.env, self.notes / str(len(list(self.notes.iterdir()))))

    def check(self, seen: Trace) -> None:
        """Nothing outside of the tree was touched."""
        outside = [p for p in seen.written if not p.startswith(self.free) and not p.startswith(("pipe:", "socket:"))]
        assert not [path for path in outside if not self._is_harmless(path)], outside
        state = (str(self.home / ".cache" / "gg"), str(self.home / ".config" / "gg"))
        assert not [p for p in seen.read if p.startswith(f"{self.home}/") and not p.startswith(state)], seen.read
        assert not [line for line in seen.connected if "sa_family=AF_INET" in line], seen.connected
        ours = (f'sun_path="{self.home}/.cache/gg/', 'sun_path=@"', 'sun_path="/proc/', "/var/run/nscd", "/run/systemd")
        assert not [line for line in seen.connected if not any(each in line for each in ours)], seen.connected
        assert "\x1b" not in seen.output
        assert "\x07" not in seen.output
        assert not (self.home / "trapped").exists(), "something that is named like ours was run"
        assert "Traceback" not in seen.output
        assert "internal error" not in seen.output

    def _is_harmless(self, path: str) -> bool:
        """The directory that leads to state, made when there is none; temporary files of a compiler that is asked something."""
        return path == str(self.home / ".cache") or re.fullmatch(r"/tmp/cc\w{6}\.\w+", path) is not None


@pytest.fixture
def stage(project: Project, tmp_path: Path) -> Stage:
    top = tmp_path.resolve() / "stage"
    top.mkdir()
    return Stage(top, project.env)


def test_what_the_trace_sees(stage: Stage) -> None:
    """The proof itself: what goes through links is seen where it arrives."""
    script = "echo x > out/new; mv out/new out/newer; rm out/newer; cat rc.c; ln -s a link; exec ./steal out/t"
    seen = trace(["sh", "-c", script], stage.root, stage.env, stage.notes / "self")
    home = str(stage.home)
    assert {f"{home}/new", f"{home}/newer", f"{home}/t", f"{stage.root}/link"} <= seen.written
    assert f"{home}/.bashrc" in seen.read
    assert f"{stage.root}/steal" in seen.run
    with pytest.raises(AssertionError):
        stage.check(seen)


COMMANDS = {
    "status": (("gg", "status"), 64),
    "status, as JSON": (("gg", "status", "--json"), 64),
    "force": (("gg-force",), 69),
    "force one": (("gg-force", "odd/planted.o"), 69),
    "explain": (("gg", "explain"), 64),
    "explain one": (("gg", "explain", "odd/planted.o"), None),
    "describe": (("gg", "describe", "odd/planted.o"), None),
    "gc": (("gg", "gc"), 64),
    "clean": (("gg", "clean"), 64),
    "doctor": (("gg", "doctor"), None),
    "key list": (("gg", "key", "list"), 0),
    "trust": (("gg", "trust"), 64),
    "trust --list": (("gg", "trust", "--list"), 0),
    "builds": (("gg", "builds", "--all"), None),
    "builds, running": (("gg", "builds", "--running"), None),
    "show": (("gg", "show", "odd/planted.o"), None),
    "stats": (("gg", "stats"), None),
    "verify": (("gg", "verify", "odd/planted.o"), None),
    "compare": (("gg", "compare", "odd", "sub"), 1),
    "compare with a patch": (("gg", "compare", "--patch", "Makefile"), 64),
    "export": (("gg", "export", "nix", "odd/planted.o"), None),
    "export for ninja": (("gg", "export", "ninja", "odd/last.o"), None),
    "estimate": (("gg-force", "--estimate"), None),
    "collect": (("gg", "collect", "odd/link.o"), None),
    "hash": (("gg", "hash", "odd/planted.o"), None),
    "worker": (("gg", "worker", "--print", "systemd"), None),
    "init": (("gg", "init"), 0),
    "create-thunk": (("gg-create-thunk", "--output", "made", "--", "cat"), None),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_fresh_clone(stage: Stage, name: str) -> None:
    """Before anything was built there."""
    before = snapshot(stage.home)
    words, status = COMMANDS[name]
    seen = stage.run(*words)
    stage.check(seen)
    assert snapshot(stage.home) == before
    assert status is None or seen.status == status, seen.output
    assert "mallory:" not in seen.output or name == "trust", "keys of the tree's are not trusted"


def test_a_build_of_it(stage: Stage) -> None:
    """Recorded, forced, looked at, collected and cleaned: as any tree, and nothing of what it wants."""
    before = snapshot(stage.home)
    first = stage.run("gg-infer", "make", "all")
    stage.check(first)
    assert first.status == 0, first.output
    assert (
        "gg.toml: not counted until allowed by gg trust: store, trusted, engine, functions, regions, store_size, [tool]"
        in first.output
    )
    assert "is not used: it was not put there by you" in first.output
    assert (stage.root / "out.txt").read_text() == "nothing\n"
    planted = stage.root / "odd" / "planted.o"
    assert not planted.exists(), "a placeholder that no store knows is removed, for make to make it"
    for words in (("gg", "status"), ("gg", "explain"), ("gg-force",), ("gg", "status"), ("gg", "gc", "--max-age", "0s"),
                  ("gg", "clean")):  # fmt: skip
        seen = stage.run(*words)
        stage.check(seen)
        assert seen.status == 0, f"{words}: {seen.output}"
    assert snapshot(stage.home) == before
    assert (stage.root / "sub" / "a1").read_text() == "mine\n"
    assert (stage.root / "tmp" / "a1").read_text() == "mine\n"
    assert (stage.root / ".gg-o1-0").read_text() == "mine\n"
    assert (stage.root / ".gg" / "tmp").is_symlink()
    assert (stage.root / "prog").stat().st_mode & 0o100
    assert not (stage.home / ".config" / "gg").exists(), "nothing was allowed unasked"


@pytest.mark.parametrize("dot", ["link to a home", "file", "loop"])
def test_a_dot_gg_that_is_no_directory(stage: Stage, dot: str) -> None:
    os.rename(stage.root / ".gg", stage.root / "old")
    if dot == "file":
        (stage.root / ".gg").write_text("x\n")
    else:
        (stage.root / ".gg").symlink_to(stage.home if dot == "link to a home" else ".gg")
    before = snapshot(stage.home)
    seen = stage.run("gg-infer", "make", "main.o")
    stage.check(seen)
    assert seen.status == 0, seen.output
    refused = stage.run("gg", "init", "--in-tree")
    stage.check(refused)
    assert refused.status == 74, refused.output
    assert snapshot(stage.home) == before


@pytest.mark.parametrize("where", [".gg", ".gg/state-0123456789abcdef", "sub/.gg"])
def test_state_that_was_named_by_mistake_follows_no_link(stage: Stage, where: str) -> None:
    """GG_DIR is the user's word, and still nothing in it leads out of it."""
    stage.env["GG_DIR"] = str(stage.root / where)
    before = snapshot(stage.home)
    for words in (("gg", "status"), ("gg-infer", "true"), ("gg-force",), ("gg", "gc"), ("gg", "clean")):
        seen = stage.run(*words)
        stage.check(seen)
        assert seen.status == 74, f"{words}: {seen.output}"
        assert "is a symbolic link, and none in gg's state is followed" in seen.output
    assert snapshot(stage.home) == before


def test_a_directory_that_only_looks_like_state_is_not_cleaned(stage: Stage) -> None:
    """`tmp/`, `version`, `root`: many a tree has them."""
    stage.env["GG_DIR"] = str(stage.root)
    before = set(os.listdir(stage.root))
    for words in (("gg", "clean"), ("gg-infer", "true"), ("gg-force",), ("gg", "gc")):
        seen = stage.run(*words)
        stage.check(seen)
        assert seen.status == 64, f"{words}: {seen.output}"
    assert set(os.listdir(stage.root)) == before


def test_what_comes_with_a_pull_is_not_believed(stage: Stage) -> None:
    """State of this user's in a tree, into which the next pull brings more."""
    os.rename(stage.root / ".gg", stage.root.parent / "pulled")
    assert stage.run("gg", "init", "--in-tree").status == 0
    for path in (stage.root.parent / "pulled").iterdir():
        if not (stage.root / ".gg" / path.name).exists():
            os.rename(path, stage.root / ".gg" / path.name)
    before = snapshot(stage.home)
    for words in (("gg-infer", "make", "main.o"), ("gg-force",), ("gg", "gc"), ("gg", "status")):
        seen = stage.run(*words)
        stage.check(seen)
        assert seen.status == 0, f"{words}: {seen.output}"
    seen = stage.run("gg", "clean")
    assert seen.status == 0
    after = snapshot(stage.home)
    assert after.pop(str(stage.home / ".config" / "gg" / "allowed")) != before.pop(
        str(stage.home / ".config" / "gg" / "allowed")
    )
    assert after == before
