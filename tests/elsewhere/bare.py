"""A root directory with Python in it and nothing else: what a worker's host has, and not a file of this one's /usr.

Python's own tree stands at /var/lang, gg and its three compiled packages at /var/task; beside them the C library and what
Python's extension modules need. All is read-only but /tmp; the user is nobody, and can make no namespaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import gg
from gg.host import native_programs as native

TASK, LANG = "/var/task", "/var/lang"
_PACKAGES = ("blake3", "msgpack", "zstandard")


class Bare:
    """Runs Python in such a root. `tmp` is the host's directory behind /tmp."""

    def __init__(self, where: Path) -> None:
        self._root = where / "root"
        self.tmp = where / "tmp"
        self.tmp.mkdir(parents=True)
        self.tmp.chmod(0o777)
        self._fill()

    def _fill(self) -> None:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        library = self._root / LANG[1:] / "lib" / version
        skipped = shutil.ignore_patterns("test", "site-packages", "__pycache__", "idlelib", "config-*", "tkinter")
        shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=skipped, symlinks=False)
        program = self._root / LANG[1:] / "bin" / "python3"
        program.parent.mkdir(parents=True)
        shutil.copy2(os.path.realpath(sys.executable), program)
        task = self._root / TASK[1:]
        source = next(Path(p) for p in gg.__path__ if (Path(p) / "core").is_dir())
        shutil.copytree(source, task / "gg", ignore=shutil.ignore_patterns("__pycache__", "_native"))
        (task / "gg" / "_native").mkdir(exist_ok=True)
        shutil.copy2(native.pathmap_library(), task / "gg" / "_native")
        for name in _PACKAGES:
            module = __import__(name)
            shutil.copytree(os.path.dirname(str(module.__file__)), task / name)
        for path in _libraries([program, *self._root.rglob("*.so")]):
            target = self._root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.realpath(path), target)
        for name in ("tmp", "dev", "proc", "etc"):
            (self._root / name).mkdir()

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs `python3 ARGUMENTS` in the root."""
        return [
            *(
                "bwrap",
                "--unshare-all",
                "--unshare-user",
                "--uid",
                "993",
                "--gid",
                "990",
                "--die-with-parent",
                "--disable-userns",
            ),
            *("--ro-bind", str(self._root), "/", "--bind", str(self.tmp), "/tmp", "--dev", "/dev", "--proc", "/proc"),
            *(
                "--clearenv",
                "--setenv",
                "PYTHONPATH",
                TASK,
                "--setenv",
                "PYTHONHOME",
                LANG,
                "--setenv",
                "HOME",
                "/nowhere",
            ),
            *("--setenv", "LD_LIBRARY_PATH", ":".join(sorted(set(self._library_directories())))),
            *("--chdir", TASK, "--", f"{LANG}/bin/python3", "-s", "-B", *arguments),
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, check=False)

    def _library_directories(self) -> Iterator[str]:
        for path in self._root.rglob("*.so.*"):
            yield "/" + str(path.parent.relative_to(self._root))


def _libraries(programs: Sequence[Path]) -> set[str]:
    """The loader and the libraries that these need, as the loader says."""
    done = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False)
    words = [word for line in done.stdout.splitlines() if not line.endswith(":") for word in line.split()]
    return {word for word in words if word.startswith("/") and os.path.isfile(word)}
