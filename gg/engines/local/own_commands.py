"""What a dynamic thunk is shown of gg itself, so that it can make further thunks.

It gets the store, and the programs and modules of the gg that runs it, in place and not as inputs: they have no part in
its identity, no more than the machine that it runs on. Directories that are gg's or Python's own are shown whole. Where
Python is the system's, in /usr, only its library and its executable are, for the rest of /usr is for thunks to declare.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping

from gg.host.command_directory import command_directory
from gg.light.slotted import slotted

_SHARED = ("/", "/usr", "/usr/local", "/opt")
_PACKAGES = ("gg", "blake3", "msgpack", "click")
_COMMANDS = ("gg", "gg-create-thunk", "gg-hash", "gg-collect")


@slotted()
class Inside:
    """`passed`: files and trees to show. `libraries`: what the dynamic loader needs for them, in a jail."""

    passed: tuple[bytes, ...]
    libraries: tuple[bytes, ...]
    scripts: bytes
    dot: bytes

    @classmethod
    def of(cls, dot: str) -> Inside:
        """For the store in `dot`, with the Python and the gg that run now."""
        scripts = command_directory()
        passed = dict.fromkeys(os.fsencode(path) for path in (os.path.realpath(dot), *_python(), *_gg(scripts)))
        return cls(tuple(passed), tuple(_libraries()), os.fsencode(scripts), os.fsencode(os.path.realpath(dot)))

    def environment(self, env: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """What to add to a thunk's environment: the store, and gg-create-thunk on PATH, behind what is there already."""
        path = env.get(b"PATH", b"")
        return {b"GG_DIR": self.dot, b"PATH": path + b":" + self.scripts if path else self.scripts}


def _python() -> Iterator[str]:
    for prefix in (sys.prefix, sys.base_prefix):
        if prefix not in _SHARED:
            yield prefix
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield sysconfig.get_path(name)
    path = sys.executable
    for _ in range(8):  # a virtual environment's python is a link to a link
        yield path
        if not os.path.islink(path):
            break
        path = os.path.join(os.path.dirname(path), os.readlink(path))


def _gg(scripts: str) -> Iterator[str]:
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        yield from (spec.submodule_search_locations or ()) if spec else ()
    from gg.host import native_programs as native

    yield os.path.dirname(native.shim())
    for name in _COMMANDS:
        path = os.path.join(scripts, name)
        if os.path.exists(path):
            yield path


def _libraries() -> Iterator[bytes]:
    """Every shared library of this process by all names that the loader may use, and the loader's cache."""
    with open("/proc/self/maps", "rb") as file:
        paths = {line.split(None, 5)[5].rstrip(b"\n") for line in file if line.count(b"/")}
    for path in sorted(paths):
        directory, name = os.path.split(path)
        if b".so" not in name or not os.path.isfile(path):
            continue
        yield path
        names = [directory + b"/" + name]
        while b".so." in name:  # libx.so.1.2 is asked for as libx.so.1
            name = name[: name.rindex(b".")]
            names.append(directory + b"/" + name)
        # PT_INTERP, which the kernel reads, goes through a link where /lib64 is one.
        names += [b"/lib64/" + os.path.basename(path), b"/lib/" + os.path.basename(path)]
        for alias in names[1:]:
            if os.path.exists(alias) and os.path.samefile(alias, path):
                yield alias
    yield b"/etc/ld.so.cache"
