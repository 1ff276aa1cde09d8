"""What /proc tells of the processes of a build. OSError for one that has gone, or that is another user's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY_IN_ONE = (b"busybox", b"toybox", b"coreutils")  # named by what they are called
_SYS_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "ppc64le": 354, "s390x": 343, "loongarch64": 272}
_KCMP_FILE = 0


def parent_of(pid: int) -> int:
    """The number of its parent; 0 for one that is not in this namespace."""
    return int(_stat(pid)[1])


def name_of(pid: int) -> bytes:
    """The name of its program's file; of many programs in one file, the name that it is called by."""
    name = os.path.basename(program(pid))
    if name in _MANY_IN_ONE:
        called = [os.path.basename(word) for word in _words(pid)[:2]]
        return next((word for word in called if word not in _MANY_IN_ONE), name)
    return name


def program(pid: int) -> bytes:
    """The file of its program."""
    return os.readlink(b"/proc/%d/exe" % pid)


def script_of(shell: int) -> bytes:
    """The script that a shell runs, empty for one that was given its commands otherwise."""
    words = _words(shell)
    return words[1] if len(words) > 1 and not words[1].startswith(b"-") else b""


def descriptor(pid: int, fd: int) -> bytes:
    """A path for what it has open as `fd`."""
    return b"/proc/%d/fd/%d" % (pid, fd)


def link(pid: int, fd: int) -> bytes | None:
    """What it has open as `fd`, in the kernel's words: `pipe:[4711]`; None: nothing."""
    try:
        return os.readlink(descriptor(pid, fd))
    except OSError:
        return None


def descriptors(pid: int) -> Iterator[tuple[int, bytes]]:
    """Each of its descriptors, with what it is in the kernel's words."""
    for name in os.listdir(b"/proc/%d/fd" % pid):
        target = link(pid, int(name))
        if target is not None:
            yield int(name), target


def reads(pid: int, fd: int) -> bool:
    """Was it opened for reading?"""
    return bool(os.lstat(descriptor(pid, fd)).st_mode & stat.S_IRUSR)


def writes(pid: int, fd: int) -> bool:
    """Was it opened for writing?"""
    return bool(os.lstat(descriptor(pid, fd)).st_mode & stat.S_IWUSR)


def children(pid: int) -> list[int]:
    """The processes that its first thread has started; empty where the kernel does not say."""
    try:
        return [int(child) for child in _read(b"/proc/%d/task/%d/children" % (pid, pid)).split()]
    except OSError:
        return []


def everybody() -> Iterator[int]:
    """All processes."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def started(pid: int) -> int:
    """When it was started, in ticks since the machine was. Number and start together name one process and no other."""
    return int(_read(b"/proc/%d/stat" % pid).rpartition(b")")[2].split()[19])


def words(pid: int) -> tuple[bytes, ...]:
    """Its arguments, its name first."""
    return tuple(_words(pid)[:-1])


def directory(pid: int) -> bytes:
    """The directory that it is in."""
    return os.readlink(b"/proc/%d/cwd" % pid)


def environment(pid: int, name: bytes) -> bytes:
    """A variable that it was started with; empty for one that it was not."""
    return next((value for each, value in variables(pid) if each == name), b"")


def variables(pid: int) -> Iterator[tuple[bytes, bytes]]:
    """What it was started with as its environment, by names."""
    for each in _read(b"/proc/%d/environ" % pid).split(b"\0"):
        name, _, value = each.partition(b"=")
        yield name, value


def has_loaded(pid: int, name: bytes) -> bool:
    """Whether a library whose path ends so is mapped into it."""
    with open(b"/proc/%d/maps" % pid, "rb") as file:
        return any(line.endswith(name + b"\n") for line in file)


def namespaces(pid: int) -> int:
    """In how many namespaces of processes it has a number, from this one on; 1: it has its number here for its own."""
    found = next(
        (line for line in _read(b"/proc/%d/status" % pid).splitlines() if line.startswith(b"NSpid:")), b"NSpid: 0"
    )
    return len(found.split()) - 1


def same_terminal(pid: int) -> bool:
    """Has it the terminal that this process has?"""
    return _stat(pid)[4] == _stat(os.getpid())[4] != b"0"


def same_file(a: int, b: int, fd: int) -> bool:
    """Whether `fd` of two processes is one open file, which one has passed on to the other, and not merely the same file."""
    compare = _kcmp()
    answer = compare(a, b, fd) if compare else -1
    if answer >= 0:
        return answer == 0
    one, other = os.stat(descriptor(a, fd)), os.stat(descriptor(b, fd))
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


@cache
def _kcmp() -> Callable[[int, int, int], int] | None:
    number = _SYS_KCMP.get(os.uname().machine)
    if number is None:
        return None
    import ctypes

    system_call = ctypes.CDLL(None).syscall
    return lambda a, b, fd: int(system_call(number, a, b, _KCMP_FILE, fd, fd))


def _stat(pid: int) -> list[bytes]:
    """proc(5): state, parent, group, session, terminal, … The name before them may have anything in it."""
    return _read(b"/proc/%d/stat" % pid).rpartition(b")")[2].split(None, 6)


def _words(pid: int) -> list[bytes]:
    return _read(b"/proc/%d/cmdline" % pid).split(b"\0")


def _read(path: bytes) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 65536)
    finally:
        os.close(fd)
