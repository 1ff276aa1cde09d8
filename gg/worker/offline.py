"""Takes the network from this process and its descendants, for good: a seccomp filter, in classic BPF.

By contract no thunk has a network: in a jail there is none. A slot of a worker needs none itself, since the worker's front brings
everything that it lacks. So a command in a slot reaches neither the instance's metadata service nor any other port. Sockets of the
same machine with a name in a file system (AF_UNIX) are still allowed. The filter also forbids what outlives every process and has
no place in a file system: System V's shared memory, semaphores and queues, POSIX's queues, the kernel's keys. Other slots run
beside this one, so nobody could tell whose such an object is; and no compiler needs one. AWS Lambda lets nobody install a filter.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from gg.light.named import NamedTuple

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, JMP|JEQ|K, JMP|JGE|K, RET|K
_NUMBER, _ARCH, _DOMAIN = 0, 4, 16  # in struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_UNIX = 1
_IO_URING_SETUP = 425  # io_uring makes sockets that no filter sees
_X32 = 0x40000000  # marks x86-64's system calls with 32-bit pointers


class _Machine(NamedTuple):
    """A processor's system calls. `outliving`: those for System V's shared memory, semaphores, queues, POSIX's queues, keys."""

    audit: int
    socket: int
    outliving: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 41, (*range(29, 32), *range(64, 72), 220, 240, 241, *range(248, 251))),
    "aarch64": _Machine(0xC00000B7, 198, (180, 181, *range(186, 198), *range(217, 220))),
}


def go_offline() -> bool:
    """Install the filter for the calling thread and everything that it starts. False if the kernel takes no filter."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or not no_new_privileges():
        return False
    code = _program(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None)
    return not libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.c_char_p(filter), 0, 0)


def no_new_privileges() -> bool:
    """Have no program give this thread and its children more rights; filters require that. False if the kernel refuses."""
    return not ctypes.CDLL(None).prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _program(machine: _Machine) -> bytes:
    """The filter, an array of `struct sock_filter`. It refuses calls by other conventions, in which numbers mean something else."""
    return b"".join(
        [
            _op(_LOAD, _ARCH),
            _op(_EQUAL, machine.audit, 1, 0),
            _op(_RETURN, _ERRNO | errno.ENOSYS),
            _op(_LOAD, _NUMBER),
            _op(_AT_LEAST, _X32, 0, 1),
            _op(_RETURN, _ERRNO | errno.ENOSYS),
            *[
                op
                for number in (_IO_URING_SETUP, *machine.outliving)
                for op in (_op(_EQUAL, number, 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS))
            ],
            _op(_EQUAL, machine.socket, 1, 0),
            _op(_RETURN, _ALLOW),
            _op(_LOAD, _DOMAIN),
            _op(_EQUAL, _UNIX, 0, 1),
            _op(_RETURN, _ALLOW),
            _op(_RETURN, _ERRNO | errno.EACCES),
        ]
    )


def _op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, k)
