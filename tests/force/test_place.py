"""Files in the places of placeholders: whole, with the right times and modes, and never over what somebody else has."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from gg.core.ids import BlobId, ThunkId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.core.thunk import Made
from gg.errors import StoreError
from gg.force.placing import Item, Kept, Placer

WRITER = PlaceholderWriter(b"/bin/true")
GROUP = next((group for group in os.getgroups() if group != os.getegid()), 1 if os.geteuid() == 0 else os.getegid())
TIMES = (1_500_000_000_123_456_789, 1_400_000_000_987_654_321)


def digest(name: str) -> ThunkId:
    return ThunkId(blake3(name.encode()).digest())


class Bench:
    def __init__(self, top: Path) -> None:
        self.top = top
        self.tmp = top / "tmp"
        self.tmp.mkdir()
        self.placer = Placer(str(self.tmp), str(top))

    def item(self, name: str, data: bytes, *, executable: bool = False, mode: int = 0o644, index: int = 0) -> Item:
        """A placeholder at `name`, and what is to take its place."""
        path, placeholder = self.top / name, Placeholder(digest(name), index)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(WRITER.encode(*placeholder))
        path.chmod(mode)
        os.utime(path, ns=TIMES)
        return Item(os.fsencode(path), self.source(data), Made(BlobId.of(data), executable), placeholder)

    def source(self, data: bytes) -> bytes:
        path = self.top / f"blob-{BlobId.of(data).hex}"
        path.write_bytes(data)
        return os.fsencode(path)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.placer.close()
    assert not list(bench.tmp.iterdir())


def test_bytes_times_and_mode(bench: Bench) -> None:
    items = [bench.item("a", b"", mode=0o640), bench.item("b", b"x" * 300_000, executable=True, mode=0o664)]
    kept = bench.placer.put(items)
    for item, mode, placed in zip(items, (0o640, 0o775), kept, strict=True):
        info = os.stat(item.path)
        assert Path(os.fsdecode(item.path)).read_bytes() == Path(os.fsdecode(item.source)).read_bytes()
        assert (stat.S_IMODE(info.st_mode), info.st_mtime_ns) == (mode, TIMES[1])
        assert placed == Kept(0o640 if mode == 0o640 else 0o664, *TIMES)


def test_many_at_once(bench: Bench) -> None:
    """Each has its own bytes, whatever the length of the one before: inodes are written over."""
    data = [b"%d" % number * (number * 37 % 1000) for number in range(300)]
    items = [bench.item(f"d{number % 7}/f{number}", text) for number, text in enumerate(data)]
    assert all(bench.placer.put(items))
    assert [Path(os.fsdecode(item.path)).read_bytes() for item in items] == data
    assert len({os.stat(item.path).st_ino for item in items}) == len(items)


def test_one_batch_while_the_next_is_prepared(bench: Bench) -> None:
    """More than the pipes hold, either way."""
    batches = [[bench.item(f"b{batch}-{n}", b"%d" % n) for n in range(2500)] for batch in range(2)]
    for items in batches:
        bench.placer.begin(items)
        assert all(bench.placer.end())
    assert bench.placer.end() == []
    assert [Path(os.fsdecode(item.path)).read_bytes() for item in batches[1]] == [b"%d" % n for n in range(2500)]


def test_a_placer_that_was_killed(bench: Bench) -> None:
    """Told at once; the next one begins anew."""
    first, second, third = (bench.item(name, b"made") for name in "abc")
    bench.placer.put([first])
    helper = bench.placer._helper
    assert helper
    os.kill(helper.pid, signal.SIGKILL)
    with pytest.raises(StoreError, match="gg-place ended with status -9"):
        bench.placer.put([second])
    assert (bench.top / "b").read_bytes() == WRITER.encode(digest("b"), 0)
    assert all(bench.placer.put([second, third]))
    assert (bench.top / "b").read_bytes() == b"made"


def test_an_inode_is_used_again(bench: Bench) -> None:
    """Else this costs a new inode a file, which ext4 takes long to find where many were freed."""
    items = [bench.item(f"f{number}", b"data") for number in range(4)]
    before = {os.stat(item.path).st_ino for item in items}
    bench.placer.put(items)
    assert len({os.stat(item.path).st_ino for item in items} - before) == 1


def test_where_another_placeholder_stands(bench: Bench) -> None:
    item, other = bench.item("f", b"made"), bench.item("f", b"made", index=1)
    assert bench.placer.put([item]) == [None]
    assert (bench.top / "f").read_bytes() == WRITER.encode(digest("f"), 1)
    assert bench.placer.put([other]) != [None]


@pytest.mark.parametrize("content", [b"real", b"r" * 256])
def test_where_a_real_file_or_none_stands(bench: Bench, content: bytes) -> None:
    real, gone = bench.item("real", b"made"), bench.item("gone", b"made")
    (bench.top / "real").write_bytes(content)
    (bench.top / "gone").unlink()
    assert bench.placer.put([real, gone]) == [None, None]
    assert (bench.top / "real").read_bytes() == content
    assert not (bench.top / "gone").exists()


def test_what_the_command_left_out_goes(bench: Bench) -> None:
    item = bench.item("f", b"")._replace(made=None, source=b"")
    assert bench.placer.put([item]) == [Kept(0o644, *TIMES)]
    assert not (bench.top / "f").exists()


def test_all_names_of_a_placeholder(bench: Bench, tmp_path: Path) -> None:
    """Those below the top lead to the one real file; another, somewhere else, keeps the placeholder."""
    items = [bench.item("f", b"one"), bench.item("g", b"two")]
    (bench.top / "below").mkdir()
    names = [bench.top / "other", bench.top / "below/third"]
    outside = tmp_path.with_name(tmp_path.name + "-outside")
    for name in (*names, outside):
        os.link(bench.top / "f", name)
    two = items[0]._replace(path=os.fsencode(names[1]))
    assert all(bench.placer.put([items[0], two, items[1]]))
    assert outside.read_bytes() == WRITER.encode(digest("f"), 0)
    outside.unlink()
    assert [(bench.top / name).read_bytes() for name in "fg"] == [b"one", b"two"]
    assert all(name.samefile(bench.top / "f") for name in names)
    assert (bench.top / "f").stat().st_nlink == 3


@pytest.mark.parametrize("expected", [True, False])
@pytest.mark.parametrize("executable", [True, False])
@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_whose_wish_a_mode_is(bench: Bench, mode: int, executable: bool, expected: bool) -> None:
    """The tool's, unless somebody has changed what the placeholder was made with."""
    item = bench.item("f", b"made", executable=executable, mode=mode)._replace(expected=expected)
    bench.placer.put([item])
    changed = bool(mode & 0o111) != expected
    assert stat.S_IMODE((bench.top / "f").stat().st_mode) == (mode if changed or not executable else 0o755) - (
        0 if changed or executable else mode & 0o111
    )


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR])
def test_who_has_a_placeholder_open_keeps_it(bench: Bench, flags: int) -> None:
    items = [bench.item("f", b"one"), bench.item("g", b"two")]
    fd = os.open(bench.top / "f", flags)
    try:
        bench.placer.put(items)
        assert os.pread(fd, 1000, 0) == WRITER.encode(digest("f"), 0)
    finally:
        os.close(fd)
    assert [(bench.top / name).read_bytes() for name in "fg"] == [b"one", b"two"]


def test_attributes_of_one_do_not_pass_to_another(bench: Bench) -> None:
    items = [bench.item("f", b"one"), bench.item("g", b"two")]
    try:
        os.setxattr(bench.top / "f", "user.gg", b"f")
    except OSError:
        pytest.skip("this file system keeps no attributes")
    bench.placer.put(items)
    assert "user.gg" not in os.listxattr(bench.top / "g")


def test_a_link_to_a_placeholder(bench: Bench) -> None:
    """Somebody has put it there, so it stays; the placeholder is forced under its own name."""
    target = bench.item("target", b"made")
    (bench.top / "link").symlink_to("target")
    link = target._replace(path=os.fsencode(bench.top / "link"))
    assert [bool(kept) for kept in bench.placer.put([link, target, bench.item("f", b"two")])] == [False, True, True]
    assert (bench.top / "link").readlink() == Path("target")
    assert (bench.top / "target").read_bytes() == b"made"


def test_over_any_file(bench: Bench) -> None:
    items = [
        bench.item("f", b"new")._replace(over=None, kept=Kept(0o600, *TIMES)),
        bench.item("none", b"new")._replace(over=None, kept=Kept(0o604, *TIMES)),
    ]
    (bench.top / "none").unlink()
    (bench.top / "f").write_bytes(b"the recorder's")
    bench.placer.put(items)
    for name, mode in (("f", 0o600), ("none", 0o604)):
        info = (bench.top / name).stat()
        assert (bench.top / name).read_bytes() == b"new"
        assert (stat.S_IMODE(info.st_mode), info.st_mtime_ns) == (mode, TIMES[1])


def test_a_directory_in_the_way(bench: Bench) -> None:
    item = bench.item("f", b"new")._replace(over=None, kept=Kept(0o600, *TIMES))
    (bench.top / "f").unlink()
    (bench.top / "f").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*/f: Is a directory"):
        bench.placer.put([item])
    assert (bench.top / "f").is_dir()


def test_a_blob_that_is_too_short(bench: Bench) -> None:
    before, short, after = (bench.item(name, b"data") for name in ("a", "b", "c"))
    assert short.made
    short = short._replace(made=Made(BlobId(short.made.blob.digest, 5)))
    with pytest.raises(StoreError, match=r"cannot write .*/b"):
        bench.placer.put([before, short, after])
    assert (bench.top / "a").read_bytes() == b"data"
    assert (bench.top / "b").read_bytes() == WRITER.encode(digest("b"), 0)
    assert (bench.top / "c").read_bytes() == WRITER.encode(digest("c"), 0)


def test_on_another_file_system(bench: Bench) -> None:
    if os.stat("/dev/shm").st_dev == bench.top.stat().st_dev:
        pytest.skip("no second file system")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        item = bench.item("f", b"made", executable=True)
        path = Path(name, "f")
        path.write_bytes(WRITER.encode(digest("f"), 0))
        assert bench.placer.put([item._replace(path=os.fsencode(path))]) != [None]
        assert path.read_bytes() == b"made"
        assert os.listdir(name) == ["f"]


def test_names_of_several_placeholders_of_one_thunk(bench: Bench) -> None:
    """Two pairs, `cp -a f.o g.o d/`: each stays a pair, and none takes a name of another file that has an old inode."""
    item = bench.item("f", b"one")
    (bench.top / "d").mkdir()
    shutil.copy2(bench.top / "f", bench.top / "d/f")
    for name in ("g", "d/g"):
        os.link(bench.top / name.replace("g", "f"), bench.top / name)
    names = [item._replace(path=os.fsencode(bench.top / name)) for name in ("f", "g", "d/f", "d/g")]
    others = [bench.item(f"o{number}", b"%d" % number) for number in range(20)]
    assert all(bench.placer.put([*others[:10], *names, *others[10:]]))
    assert all(bench.placer.put([bench.item(f"p{number}", b"more") for number in range(20)]))
    for one, other in (("f", "g"), ("d/f", "d/g")):
        assert (bench.top / one).samefile(bench.top / other)
        assert (bench.top / one).stat().st_nlink == 2
    assert [(bench.top / f"o{number}").read_bytes() for number in range(20)] == [b"%d" % n for n in range(20)]
    assert not bench.placer.elsewhere


def test_names_that_are_left_below_the_top(bench: Bench) -> None:
    """More placeholders than can be kept open at once, each with a name that is not asked for."""
    items = [bench.item(f"f{number}", b"%d" % number) for number in range(450)]
    (bench.top / "d").mkdir()
    for number in range(450):
        os.link(bench.top / f"f{number}", bench.top / f"d/g{number}")
    assert all(bench.placer.put(items))
    assert all((bench.top / f"f{number}").samefile(bench.top / f"d/g{number}") for number in range(450))
    assert (bench.top / "d/g449").read_bytes() == b"449"
    assert not bench.placer.elsewhere


def test_names_elsewhere_are_told(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    item = bench.item("f", b"made")
    outside = tmp_path_factory.mktemp("outside") / "f"
    os.link(bench.top / "f", outside)
    assert all(bench.placer.put([item]))
    assert bench.placer.elsewhere == [item.path]
    assert outside.read_bytes() == WRITER.encode(digest("f"), 0)


def test_directories_keep_their_times(bench: Bench) -> None:
    """make compares those too."""
    items = [bench.item(name, b"made") for name in ("a/f", "b/f", "a/g")]
    for name in "ab":
        os.utime(bench.top / name, ns=TIMES)
    assert all(bench.placer.put(items))
    assert [(bench.top / name).stat().st_mtime_ns for name in "ab"] == [TIMES[1]] * 2


def test_what_a_directory_gives_to_new_files(bench: Bench) -> None:
    """The file has the placeholder's group, although another inode lies ready to be used again."""
    plain, special = bench.item("a", b"made"), bench.item("d/f", b"made")
    os.chown(bench.top / "d/f", -1, GROUP)
    assert all(bench.placer.put([plain, special, bench.item("b", b"made")]))
    assert [(bench.top / name).stat().st_gid for name in ("a", "d/f", "b")] == [os.getegid(), GROUP, os.getegid()]
