"""The function's zip: the worker, its packages and the path map. The same parts give the same bytes, wherever it is made.

Entries are in order, with one date and plain permissions (a file that others may not read is not readable in Lambda), and
compressed by one setting. Where the function's Python is this one, compiled modules go along: Lambda cannot write them, and
compiling forty modules at each cold start costs more than all other imports.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gg.deploy.closure import modules
from gg.deploy.runtimes import Runtime
from gg.deploy.wanted import HANDLER
from gg.deploy.wheels import PACKAGES, ZipMember, fetch, unpack
from gg.errors import StoreError
from gg.host import native_programs as native

_DATE = (1980, 1, 1, 0, 0, 0)
_LIMIT = 50 << 20
_COMPILE = """
import sys, py_compile
for line in sys.stdin:
    source, target, shown = line.rstrip("\\n").split("\\t")
    py_compile.compile(source, target, shown, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


class Package(NamedTuple):
    """A zip, and the digest that tells it from others."""

    data: bytes
    files: int
    unzipped: int = 0

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def build(runtime: Runtime, architecture: str, cache: str, *, entry: str = HANDLER.rpartition(".")[0]) -> Package:
    """The zip for this runtime. GGError when a part is missing, or when it is too big for Lambda."""
    made = zipped(parts(runtime, architecture, cache, entries=(entry,)))
    if len(made.data) > _LIMIT:
        raise StoreError(f"the function's zip has {len(made.data)} bytes, and Lambda takes {_LIMIT}")
    return made


def parts(
    runtime: Runtime,
    architecture: str,
    cache: str,
    *,
    entries: Sequence[str],
    packages: Sequence[str] = PACKAGES,
    root: str = "/var/task",
) -> list[ZipMember]:
    """The parts that the modules `entries` of gg need in this runtime: gg's modules, wheels of `packages`, the path map. `root`:
    where the zip will be unpacked.
    """
    found = _modules(entries, root, compiled=runtime.python == sys.version_info[:2])
    found += [part for wheel in fetch(runtime, architecture, cache, packages) for part in unpack(wheel)]
    pathmap = native.pathmap_library()
    found.append(ZipMember(f"gg/_native/{os.path.basename(pathmap)}", _read(pathmap), True))
    return found


def zipped(members: Sequence[ZipMember]) -> Package:
    return Package(_zip(members), len(members), sum(len(member.data) for member in members))


def _modules(entries: Sequence[str], root: str, *, compiled: bool) -> list[ZipMember]:
    sources = {path: source for entry in entries for path, source in modules(entry).items()}
    found = [ZipMember(path, _read(source)) for path, source in sources.items()]
    return found + (_compiled(sources, root) if compiled else [])


def _compiled(sources: dict[str, str], root: str) -> list[ZipMember]:
    """Modules compiled so that Python does not look at their source; by a separate process, so the bytes are always the same."""
    with tempfile.TemporaryDirectory(prefix="gg-package-") as directory:
        targets = {path: os.path.join(directory, f"{number}.pyc") for number, path in enumerate(sources)}
        lines = "".join(f"{sources[path]}\t{target}\t{root}/{path}\n" for path, target in targets.items())
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _COMPILE],
            input=lines, text=True, capture_output=True, check=False, env={"PYTHONHASHSEED": "0"},
        )  # fmt: skip
        if done.returncode:
            raise StoreError(f"the worker's modules cannot be compiled: {done.stderr.strip()[-300:]}")
        return [ZipMember(_cached(path), _read(target)) for path, target in targets.items()]


def _cached(path: str) -> str:
    directory, name = os.path.split(path)
    return f"{directory}/__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _zip(parts: Iterable[ZipMember]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for part in sorted(parts):
            archive.writestr(entry(part.path, part.executable), part.data, compresslevel=6)
    return out.getvalue()


def entry(path: str, executable: bool) -> zipfile.ZipInfo:
    """A zip entry with the same bytes each time, readable by all."""
    info = zipfile.ZipInfo(path, _DATE)
    info.create_system = 3  # Unix, on whatever system it is made
    info.external_attr = (0o100755 if executable else 0o100644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
