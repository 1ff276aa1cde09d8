"""A directory on a small file system of its own, in a mount namespace of its own, that can be filled and emptied again.

    with SmallDisk(project.root, room=1 << 20) as disk:
        subprocess.run([*disk.enter(project.root), "gg-force"])
        disk.fill()
        disk.make_room()

Only root may do that.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

_BALLAST = ".ballast"
# $1: the directory, $2: the size of the file system. It lives as long as standard input is open.
_MOUNT = """set -e
aside=$(mktemp -d)
mount -t tmpfs -o size=$2 none "$aside"
cp -a "$1/." "$aside"
mount --move "$aside" "$1"
rmdir "$aside"
echo ready
read -r nothing || true
"""
_ENTER = 'cd "$0" && exec "$@"'


class SmallDisk:
    """`place` has what it had, and may have `room` bytes more, as what runs behind `enter` sees it."""

    def __init__(self, place: Path, room: int) -> None:
        self.place = place
        size = room + sum(-(-path.lstat().st_size // 4096) * 4096 for path in place.rglob("*"))
        words = ["unshare", "-m", "--propagation", "private", "sh", "-c", _MOUNT, "sh", str(place), str(size)]
        self._holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        assert said == b"ready\n", said

    def enter(self, directory: Path) -> tuple[str, ...]:
        """What to put before a command that is to run there, in `directory`."""
        return ("nsenter", "-m", "-t", str(self._holder.pid), "sh", "-c", _ENTER, str(directory))

    def inside(self, path: Path) -> Path:
        """The same path, from outside."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def fill(self) -> None:
        """Leave no room at all."""
        with open(self.inside(self.place / _BALLAST), "wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def make_room(self) -> None:
        self.inside(self.place / _BALLAST).unlink()

    def __enter__(self) -> SmallDisk:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.wait()
        self._holder.stdout.close()
