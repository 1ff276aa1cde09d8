"""The worker as a deployment package, with this host's own wheels: for tests of the engine and the worker, not of deploying."""

from __future__ import annotations

import io
import os
import zipfile
from functools import cache
from pathlib import Path

import gg
from gg import native

_PARTS = ("core", "execute", "wire", "worker", "aws", "store")
_MODULES = ("__init__.py", "errors.py", "files.py", "native.py")
_PACKAGES = ("blake3", "msgpack", "zstandard")


@cache
def worker_zip() -> bytes:
    """The zip; made once a process."""
    source = next(Path(p) for p in gg.__path__ if (Path(p) / "core").is_dir())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in _MODULES:
            _add(archive, f"gg/{name}", source / name)
        for part in _PARTS:
            for path in sorted((source / part).rglob("*.py")):
                _add(archive, f"gg/{path.relative_to(source)}", path)
        library = Path(native.pathmap_library())
        _add(archive, f"gg/_native/{library.name}", library)
        for name in _PACKAGES:
            top = Path(os.path.dirname(str(__import__(name).__file__)))
            for path in sorted(p for p in top.rglob("*") if p.suffix in (".py", ".so")):
                _add(archive, f"{name}/{path.relative_to(top)}", path)
    return out.getvalue()


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o100755 << 16 if path.suffix == ".so" else 0o100644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, path.read_bytes())
