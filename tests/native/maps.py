"""Path maps for tests: written as the docstring of gg.run.pathmap says, and read back."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OBSERVE = 1
MISSES = 2
TERMINAL = 16
READ = 1
ASKED = 2
_HEADER = 288

Record = tuple[str, bytes, bytes]


@dataclass
class Map:
    """One map on disk. TMPDIR, /dev and /proc are passed through."""

    where: Path
    library: Path
    records: list[Record]
    flags: int = OBSERVE
    scratch: Path = field(init=False)
    temporary: Path = field(init=False)

    def __post_init__(self) -> None:
        shutil.rmtree(self.where, ignore_errors=True)
        self.scratch = self.where / "scratch"
        self.temporary = self.where / "tmp"
        for directory in (self.where, self.scratch, self.temporary):
            directory.mkdir()
        passed = [("P", p, b"") for p in (b"/dev", b"/proc", bytes(self.temporary))]
        self.records = [*self.records, *passed]
        strings = bytes(self.scratch) + b"\0" + bytes(self.where / "report") + b"\0"
        body = b"".join(k.encode() + p + b"\0" + t + b"\0" for k, p, t in self.records)
        n = len(self.records)
        strings_at = _HEADER + n
        records_at = strings_at + len(strings)
        length = records_at + len(body)
        head = struct.pack("<8sIIIIII", b"GGMAP\0\0\1", self.flags, n, records_at, 0, strings_at, length)
        self.file.write_bytes(head.ljust(_HEADER + n, b"\0") + strings + body)

    @property
    def file(self) -> Path:
        return self.where / "map"

    def run(
        self, *argv: str | bytes | Path, cwd: Path, program: str | Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {
            "GG_MAP": str(self.file),
            "LD_PRELOAD": str(self.library),
            "TMPDIR": str(self.temporary),
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C",
            **(env or {}),
        }
        return subprocess.run(
            argv, executable=program, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True
        )

    def marked(self, bit: int) -> set[bytes]:
        """The paths of the records with that mark."""
        used = self.file.read_bytes()[_HEADER : _HEADER + len(self.records)]
        return {path for (_, path, _), mark in zip(self.records, used, strict=True) if mark & bit}

    @property
    def dirty(self) -> bool:
        return bool(struct.unpack_from("<I", self.file.read_bytes(), 20)[0])

    def report(self, kind: str) -> set[bytes]:
        """The paths that were reported, of one kind."""
        try:
            lines = (self.where / "report").read_bytes().split(b"\0")
        except FileNotFoundError:
            return set()
        return {line[1:] for line in lines if line[:1] == kind.encode()}

    def made(self, path: str | Path) -> Path:
        """Where the overlay has what was written at `path`."""
        return Path(f"{self.scratch}/w{path}")

    def outputs(self) -> set[str]:
        """All files in the overlay, by the paths they were written at."""
        top = self.made("")
        return {"/" + str(p.relative_to(top)) for p in top.rglob("*") if not p.is_dir() or p.is_symlink()}


def declared(paths: Iterable[str | bytes | Path]) -> list[Record]:
    """Records for existing paths: links on the way, then the file or directory itself."""
    found: dict[bytes, Record] = {}
    for path in paths:
        _declare(os.fsencode(path), found)
    return sorted(found.values(), key=lambda r: r[1])


def _declare(path: bytes, found: dict[bytes, Record]) -> None:
    at = b""
    parts = [p for p in path.split(b"/") if p]
    while parts:
        part = parts.pop(0)
        if part == b"..":
            at = os.path.dirname(at).rstrip(b"/")
            continue
        at = at + b"/" + part
        if os.path.islink(at):
            target = os.readlink(at)
            found[at] = ("L", at, target)
            parts = [p for p in target.split(b"/") if p] + parts
            at = b"" if target.startswith(b"/") else os.path.dirname(at).rstrip(b"/")
    found[at] = ("D" if os.path.isdir(at) else "F", at, b"")


def stored(records: Sequence[Record], blobs: Path) -> list[Record]:
    """The same records with every file's bytes kept elsewhere, by content."""
    blobs.mkdir(exist_ok=True)
    out: list[Record] = []
    for kind, path, target in records:
        if kind == "F":
            data = Path(os.fsdecode(path)).read_bytes()
            executable = os.access(path, os.X_OK)
            blob = blobs / (hashlib.sha256(data).hexdigest() + ("x" if executable else ""))
            if not blob.exists():
                blob.write_bytes(data)
                blob.chmod(0o555 if executable else 0o444)
            target = bytes(blob)
        out.append((kind, path, target))
    return out
