"""The few compiled packages that the worker needs, as wheels for the function's Python, architecture and C library.

pip chooses and fetches them, from whatever index it is configured for; no compiler and no container is needed. The versions are
those that are installed here, so worker and coordinator agree. Wheels are kept, so pip is asked once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from gg.deploy.runtimes import Runtime, platforms
from gg.errors import StoreError, ToolMissing

PACKAGES = ("blake3", "msgpack", "zstandard")
_TIMEOUT_S = 300
# Files of these wheels that the worker never imports. zstandard's second backend is half of them.
_LEFT_OUT = ("_cffi.", ".pyi", ".pyx", ".pxd", ".h", ".c", "py.typed")


class ZipMember(NamedTuple):
    """A file of the zip: its path there, its bytes, and whether it is executable."""

    path: str
    data: bytes
    executable: bool = False


def fetch(runtime: Runtime, architecture: str, cache: str, packages: Sequence[str] = PACKAGES) -> list[str]:
    """The wheels in `cache`, fetched if they are not there. GGError when pip cannot get them."""
    pinned = [f"{name}=={_installed(name)}" for name in packages]
    directory = os.path.join(
        cache, f"{runtime.name}-{architecture}-" + "-".join(pin.replace("==", "-") for pin in pinned)
    )
    if not os.path.isdir(directory):
        os.makedirs(os.path.dirname(cache), mode=0o700, exist_ok=True)
        os.makedirs(cache, mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=cache) as making:
            inside = os.path.join(making, "wheels")
            _download(pinned, runtime, architecture, inside)
            try:
                os.rename(inside, directory)
            except OSError:
                if not os.path.isdir(directory):  # another process was first
                    raise
    return sorted(os.path.join(directory, name) for name in os.listdir(directory))


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise ToolMissing(f"the Python package {package} is not installed", hint="pip install 'ggbuild[aws]'") from None


def _download(pinned: list[str], runtime: Runtime, architecture: str, directory: str) -> None:
    number = f"{runtime.python[0]}{runtime.python[1]}"
    tags = [part for tag in platforms(runtime, architecture) for part in ("--platform", tag)]
    abis = [part for abi in (f"cp{number}", "abi3", "none") for part in ("--abi", abi)]
    # Without -P the directory that the user is in, which may be a stranger's, would be where Python looks for pip first.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", number, *abis, *tags]
    try:
        done = subprocess.run(
            [*command, "--dest", directory, *pinned],
            capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise StoreError(
            f"pip has not fetched {', '.join(pinned)} in {_TIMEOUT_S} s", hint="is there a network?"
        ) from None
    if done.returncode:
        if "No module named pip" in done.stderr:
            raise ToolMissing("gg deploy needs pip beside gg", hint=f"{sys.executable} -m ensurepip")
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        raise StoreError(
            f"pip cannot get wheels for {runtime.name} on {architecture}: {' '.join(lines)[:300]}",
            hint="look at pip's configuration (index-url, proxy), or choose another --runtime",
        )


def unpack(wheel: str) -> list[ZipMember]:
    """The files of a wheel that the function needs: the package and its licences."""
    with zipfile.ZipFile(wheel) as archive:
        return [
            ZipMember(info.filename, archive.read(info))
            for info in archive.infolist()
            if not info.is_dir() and _needed(info.filename)
        ]


def _needed(path: str) -> bool:
    if ".dist-info/" in path:
        return "LICENSE" in path.upper() or "COPYING" in path.upper()
    return not any(part in os.path.basename(path) if part == "_cffi." else path.endswith(part) for part in _LEFT_OUT)
