"""What a slot of a worker runs reaches nothing outside of its machine."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gg.worker.offline import _MACHINES, _program

TRIES = """
import ctypes, errno, socket, subprocess, sys
from gg.worker.offline import go_offline
print(go_offline(), flush=True)
code = '''
import ctypes, errno, socket, sys
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_PACKET, socket.AF_NETLINK, socket.AF_VSOCK):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind)
            print("has", family, kind)
        except OSError as error:
            if error.errno != errno.EACCES:
                print("no", family, kind, error)
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
    print("is connected")
except OSError as error:
    print(errno.errorcode[error.errno])
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(425, 8, 0), errno.errorcode[ctypes.get_errno()])
here, there = socket.socketpair()
here.send(b"x")
print(there.recv(1), socket.socket(socket.AF_UNIX).fileno() > 0)
'''
subprocess.run(["setsid", sys.executable, "-c", code, *sys.argv[1:]])
"""


def test_no_way_leads_out(tmp_path: Path) -> None:
    """Nor for what it begins, in a session of its own. What is on the machine itself is there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-c", TRIES, port], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
        )
    assert done.stdout.splitlines() == ["True", "EACCES", "-1 ENOSYS", "b'x' True"], done.stderr


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are other ways into this processor's kernel alone")
def test_no_other_convention_leads_out(tmp_path: Path) -> None:
    """x32's numbers, and those of programs for 32 bits."""
    source = tmp_path / "other.c"
    source.write_text(
        """#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void) {
    long got;
    printf("%ld ", syscall(0x40000000 | SYS_socket, 2, 1, 0));
    __asm__ volatile("int $0x80" : "=a"(got) : "a"(359), "b"(2), "c"(1), "d"(0) : "memory"); /* socket */
    printf("%ld\\n", got);
    return 0;
}
"""
    )
    subprocess.run(["cc", source, "-o", tmp_path / "other"], check=True)
    code = f"import os; from gg.worker.offline import go_offline; go_offline(); os.execv({str(tmp_path / 'other')!r}, ['other'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "-1 -38\n", done.stderr


def test_each_jump_lands_within() -> None:
    for machine in _MACHINES.values():
        code = _program(machine)
        operations = [code[at : at + 8] for at in range(0, len(code), 8)]
        for index, operation in enumerate(operations):
            assert index + 1 + max(operation[2], operation[3]) <= len(operations) - (operation[0] != 0x06)


def test_a_slot_is_offline_before_it_runs_anything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gg.worker.slot_process", str(tmp_path / "slot"), "0", "0"]
    slot = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert slot.stdin is not None
    assert slot.stdout is not None
    assert slot.stdout.read(1), "it is ready"
    status = Path(f"/proc/{slot.pid}/status").read_text()
    assert "Seccomp:\t2" in status
    slot.stdin.close()
    slot.wait(60)
    slot.stdout.close()
