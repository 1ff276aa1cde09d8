"""The system calls that Lambda refuses, as a seccomp filter: classic BPF, written out here, for bubblewrap to install.

What is refused, and how, follows public reports of what does not work in a function: no namespaces of one's own, no mounts, no
chroot, no ptrace, no further seccomp filter, no `PR_SET_NO_NEW_PRIVS`, no fallocate.
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import NamedTuple

_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = (
    0x20,
    0x15,
    0x45,
    0x06,
)  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JSET|K, BPF_RET|K
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38


class Machine(NamedTuple):
    """An architecture: its audit number, and the numbers of calls that differ between architectures."""

    audit: int
    clone: int
    prctl: int
    fallocate: int
    refused: tuple[int, ...]


# Both lists, in this order: unshare, setns, chroot, pivot_root, mount, umount2, ptrace, process_vm_readv, process_vm_writev,
# seccomp, bpf, perf_event_open, userfaultfd, add_key, request_key, keyctl, init_module, finit_module, delete_module, reboot,
# swapon, swapoff, kexec_load, name_to_handle_at, open_by_handle_at.
_X86_64: tuple[int, ...] = (
    272,
    308,
    161,
    155,
    165,
    166,
    101,
    310,
    311,
    317,
    321,
    298,
    323,
    248,
    249,
    250,
    175,
    313,
    176,
    169,
)
_X86_64 += (167, 168, 246, 303, 304)
_AARCH64: tuple[int, ...] = (
    97,
    268,
    51,
    41,
    40,
    39,
    117,
    270,
    271,
    277,
    280,
    241,
    282,
    217,
    218,
    219,
    105,
    273,
    106,
    142,
)
_AARCH64 += (224, 225, 104, 264, 265)
# The same numbers everywhere: open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr.
_NEW_MOUNTS = (428, 429, 430, 431, 432, 433, 442)
# As if the kernel were older, so that the C library takes another way: io_uring's three, clone3.
_ABSENT = (425, 426, 427, 435)

MACHINES = {
    "x86_64": Machine(0xC000003E, 56, 157, 285, _X86_64 + _NEW_MOUNTS),
    "aarch64": Machine(0xC00000B7, 220, 167, 47, _AARCH64 + _NEW_MOUNTS),
}


def program(machine: Machine | None = None) -> bytes:
    """The filter as the kernel's array of `struct sock_filter`."""
    here = machine or MACHINES[platform.machine()]
    code = [_op(_LOAD, _ARCH), _op(_JUMP_EQUAL, here.audit, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NUMBER)]
    for number in here.refused:
        code += _answer(number, errno.EPERM)
    for number in _ABSENT:
        code += _answer(number, errno.ENOSYS)
    code += _answer(here.fallocate, errno.EOPNOTSUPP)
    code += _when_argument(here.clone, [_op(_JUMP_SET, _NEW_NAMESPACES, 0, 1), _fail(errno.EPERM)])
    set_flags = [
        _op(_JUMP_EQUAL, option, 0, 1) + _fail(errno.EPERM) for option in (_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS)
    ]
    code += _when_argument(here.prctl, [b"".join(set_flags)[i : i + 8] for i in range(0, 32, 8)])
    return b"".join([*code, _op(_RETURN, _ALLOW)])


def _op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, k)


def _fail(number: int) -> bytes:
    return _op(_RETURN, _ERRNO | number)


def _answer(number: int, error: int) -> list[bytes]:
    """That call fails with this error. The accumulator holds the call's number before and after."""
    return [_op(_JUMP_EQUAL, number, 0, 1), _fail(error)]


def _when_argument(number: int, checks: list[bytes]) -> list[bytes]:
    """For that call, `checks` look at its first argument; what they let through is allowed."""
    block = [_op(_LOAD, _FIRST_ARGUMENT), *checks, _op(_RETURN, _ALLOW)]
    return [_op(_JUMP_EQUAL, number, 0, len(block)), *block]
