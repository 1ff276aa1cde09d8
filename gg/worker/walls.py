"""The walls of a slot: a command can neither leave this machine, nor reach other slots, nor leave anything behind.

A worker outside of Lambda serves several people at once, and all commands run as one user. So each slot's process puts up two
walls around itself and all that it will run, for good: a filter of system calls (`gg.worker.offline`), and Landlock (Linux 5.19).
With Landlock a command writes only in the slot's own directory, reads only there and the system's files that everybody may read,
and cannot trace processes of other slots. Since Linux 6.12 it cannot signal them or reach their abstract sockets either.

Landlock only restricts opening files: modes, times and attributes of files of the same user can still be changed.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress

import gg
from gg.errors import SetupError
from gg.worker.offline import go_offline, no_new_privileges

NO_FILTER = "no filter of system calls"
NO_LANDLOCK = "no Landlock"

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # on every machine
_CAPABILITIES = 0x20080522  # version 3 of their form
_VERSION, _BELOW = 1, 1  # LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH
_LEAST_ABI, _TRUNCATE_ABI, _DEVICES_ABI, _SCOPE_ABI = 2, 3, 5, 6  # before version 2 no file can be renamed
_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ALL = (1 << 14) - 1  # all rights, also to make, remove and move files
_TRUNCATE, _DEVICES = 1 << 14, 1 << 15
_SCOPES = 3  # abstract sockets, signals

_SYSTEM = (
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/nix/store",
    "/gnu/store",
    "/proc",
    "/sys",
)
_CONFIGURED = ("/etc", "/opt")
"""Where there are also files for the eyes of some, which the worker's user, root above all, might read: keys, passwords."""
_DEVICE_FILES = ("null", "zero", "full", "random", "urandom", "tty")


def put_up(directory: str) -> list[str]:
    """Wall in this thread and everything that it starts, with `directory` to write to. Returns the walls that this kernel lacks.
    Root loses its capabilities, except those that concern the ownership of files.
    """
    _drop_capabilities()
    lacking = [] if go_offline() else [NO_FILTER]
    return lacking if _landlocked(directory) else [*lacking, NO_LANDLOCK]


def check(directory: str, *, exposed: bool) -> list[str]:
    """Try whether slots in `directory` will have their walls. Returns what a worker must report before it takes work.
    SetupError if commands would have the network, unless they may be `exposed`.
    """
    words = [sys.executable, "-P", "-m", "gg.worker.walls", directory]
    tried = subprocess.run(words, capture_output=True, text=True, check=False)
    if tried.returncode:
        raise SetupError(f"a slot's process does not start: {tried.stderr.strip()[-200:]}")
    lacking = tried.stdout.splitlines()
    told = []
    if NO_FILTER in lacking:
        if not exposed:
            raise SetupError(
                "this kernel takes no filter of system calls: what a thunk runs would have the network",
                hint="use a machine whose kernel does, or say that it may: gg worker --exposed",
            )
        told.append("this kernel takes no filter of system calls: what a thunk runs has the network")
    if NO_LANDLOCK in lacking:
        told.append("this kernel has no Landlock: what runs here at the same time can reach each other")
    return told


def _drop_capabilities() -> None:
    """Drop capabilities for good: no program gives any back (`no_new_privileges`)."""
    ctypes.CDLL(None).capset(struct.pack("Ii", _CAPABILITIES, 0), bytes(24))


def _landlocked(directory: str) -> bool:
    libc = ctypes.CDLL(None)
    abi = libc.syscall(_CREATE, None, 0, _VERSION)
    if abi < _LEAST_ABI or not no_new_privileges():
        return False
    devices = _DEVICES if abi >= _DEVICES_ABI else 0
    all_rights = _ALL | devices | (_TRUNCATE if abi >= _TRUNCATE_ABI else 0)
    attributes = struct.pack("QQQ", all_rights, 0, _SCOPES if abi >= _SCOPE_ABI else 0)
    ruleset = libc.syscall(_CREATE, attributes, len(attributes) if abi >= _SCOPE_ABI else 8, 0)
    if ruleset < 0:
        return False
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _allow(libc, ruleset, (directory,), all_rights)
        public = [each for top in _CONFIGURED for each in everybodys(top)]
        _allow(libc, ruleset, {*_SYSTEM, *_python(), *filter(os.path.isdir, public)}, _EXECUTE | _READ | _LIST)
        _allow(libc, ruleset, [each for each in public if not os.path.isdir(each)], _EXECUTE | _READ)
        _allow(libc, ruleset, [f"/dev/{name}" for name in _DEVICE_FILES], _READ | _WRITE | devices)
        return not libc.syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        with suppress(OSError):
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            libc.syscall(_ADD, ruleset, _BELOW, struct.pack("=Qi", rights, fd), 0)
            os.close(fd)


def everybodys(top: str) -> list[str]:
    """What everybody may read at and below a directory: itself if that is all of it, else what is in it. Links are left out: where
    they lead is asked for there.
    """
    whole, parts = _looked_through(top)
    return [top] if whole else parts


def _looked_through(directory: str) -> tuple[bool, list[str]]:
    """Whether everybody may read all that is below; and what everybody may read of it."""
    parts: list[str] = []
    try:
        mode = os.stat(directory).st_mode
        if not mode & 0o1:
            return False, []
        whole = mode & 0o5 == 0o5
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below, inner = _looked_through(entry.path)
                    parts += [entry.path] if below else inner
                elif not entry.is_symlink():
                    below = entry.is_file() and bool(entry.stat().st_mode & 0o4)
                    parts += [entry.path] if below else []
                else:
                    below = True
                whole = whole and below
    except OSError:
        return False, parts
    return whole, parts


def _python() -> set[str]:
    """The directories of this interpreter, its modules and gg."""
    places = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, os.path.dirname(gg.__file__)}
    return {each for each in places if os.path.isdir(each)} - {"/"}


if __name__ == "__main__":
    print("\n".join(put_up(sys.argv[1])))
