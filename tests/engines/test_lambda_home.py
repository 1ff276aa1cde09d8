"""What a worker looked for in vain, looked for here."""

from __future__ import annotations

import os
import time
from pathlib import Path

from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.core.renaming import Renaming
from gg.engines.awslambda.home import FoundPaths, Home
from gg.host.filedb import FileDB
from gg.workspace.granted import Granted


def paths(where: Path, *names: str) -> list[SandboxPath]:
    return [SandboxPath(os.fsencode(where / name)) for name in names]


def test_files_placeholders_and_directories(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "directory").mkdir()
    known = Placeholder(ThunkId(b"t" * 32), 0)
    (tmp_path / "made").write_bytes(PlaceholderWriter(b"/launcher").encode(*known))
    home = Home(lambda: FileDB(None))
    file, made, directory, _, _ = asked = paths(tmp_path, "file", "made", "directory", "none", "none/below")
    found = home.look(asked, set(), set())
    assert [(f.path, f.blob) for f in found.files] == [(file, BlobId.of(b"text"))]
    assert found.needs == ((made, known),)
    assert found.directories == home.directories == (directory,)


def test_what_is_declared_or_told_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "directory").mkdir()
    home = Home(lambda: FileDB(None))
    file, directory = paths(tmp_path, "file", "directory")
    assert home.look([file, directory], {file}, {directory}) == FoundPaths()
    assert home.directories == (directory,)


def test_a_file_that_appears_later_is_seen(tmp_path: Path) -> None:
    home = Home(lambda: FileDB(None))
    (path,) = paths(tmp_path, "late.h")
    assert home.look([path], set(), set()) == FoundPaths()
    time.sleep(0.02)
    (tmp_path / "late.h").write_text("#define LATE\n")
    assert [f.path for f in home.look([path], set(), set()).files] == [path]
    (tmp_path / "late.h").unlink()
    assert home.look([path], set(), set()) == FoundPaths()


def test_a_file_that_appears_in_the_tick_of_the_look(tmp_path: Path) -> None:
    home = Home(lambda: FileDB(None))
    for number in range(30):
        (path,) = paths(tmp_path, f"{number}/late.h")
        (tmp_path / str(number)).mkdir()
        assert home.look([path], set(), set()) == FoundPaths()
        (tmp_path / f"{number}/late.h").touch()
        assert [f.path for f in home.look([path], set(), set()).files] == [path]


def test_a_workspace_that_thunks_call_otherwise(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "directory").mkdir()
    renaming = Renaming(os.fsencode(tmp_path), b"/fixed/name")
    home = Home(lambda: FileDB(None), renaming.real_path)
    asked = [SandboxPath(b"/fixed/name/" + name) for name in (b"file", b"directory", b"none")]
    found = home.look(asked, set(), set())
    assert [(f.path, f.blob) for f in found.files] == [(asked[0], BlobId.of(b"text"))]
    assert found.directories == (asked[1],)


def test_what_is_not_the_builds_is_given_to_nobody(tmp_path: Path) -> None:
    """A worker names what it likes as missing: it is not told the bytes of a file that is neither the build's nor the system's."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "mine.h").write_text("#define MINE\n")
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "secret").chmod(0o600)
    home = Home(lambda: FileDB(None), granted=Granted(os.fsencode(tmp_path.resolve() / "work")))
    mine, secret = paths(tmp_path.resolve(), "work/mine.h", "secret")
    found = home.look([mine, secret, SandboxPath(b"/etc/shadow")], set(), set())
    assert [f.path for f in found.files] == [mine]
    assert found.kept == (secret, SandboxPath(b"/etc/shadow"))


def test_what_is_there_and_undeclared(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "output").write_bytes(b"text")
    (tmp_path / "broken").symlink_to("nowhere")
    file, output, broken, _, _ = asked = paths(tmp_path, "file", "output", "broken", "none", "none/below")
    assert Home(lambda: FileDB(None)).there(asked, {output}) == [file, broken]
