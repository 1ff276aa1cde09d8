"""Runs one derivation's builder as nix's own sandbox does: it sees the closure of its inputs, `/build`, and nothing else.

bubblewrap makes the namespaces. In them the builder is user 1000 and has no network. Files that it writes to `/nix/store` go to
a directory from which its outputs are taken; all other files there are lost, as they are with nix.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gg.errors import ToolMissing
from gg.nix.derivation import Derivation, environment

BUILD = "/build"
_PASSWD = "".join(
    f"{name}:x:{number}:{group}:{about}:{home}:/noshell\n"
    for name, number, group, about, home in (
        ("root", 0, 0, "Nix build user", BUILD),
        ("nixbld", 1000, 100, "Nix build user", BUILD),
        ("nobody", 65534, 65534, "Nobody", "/"),
    )
)
_GROUP = "root:x:0:\nnixbld:!:100:\nnogroup:x:65534:\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
ETC = {"passwd": _PASSWD, "group": _GROUP, "hosts": _HOSTS}
"""What a builder finds in /etc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxMounts:
    """Mounts in addition to the closure. `binds`: pairs of a path outside and one inside, read-only; `writable`: the same, but
    writable."""

    closure: Sequence[str]
    binds: Sequence[tuple[str, str]] = field(default=())
    writable: Sequence[tuple[str, str]] = field(default=())


def bubblewrap() -> str:
    """The program that makes the sandbox. ToolMissing if there is none."""
    found = shutil.which("bwrap")
    if found is None:
        raise ToolMissing(
            "bubblewrap is not installed", hint="it makes the sandbox in which builders run: bwrap on PATH"
        )
    return found


class TookTooLong(Exception):
    """The builder was ended: for its time, or for its silence."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds that a builder may take, and that it may print nothing; None for no limit."""

    whole: float | None = None
    silent: float | None = None


def run(derivation: Derivation, room: SandboxMounts, top: str, *, cores: int, log: int, limits: TimeLimits) -> int:
    """Run the builder in the directory `top`. Returns its exit status, negative for a signal. Outputs are then below `store(top)`.

    The builder prints to the descriptor `log`. TookTooLong when it passes a limit.
    """
    env, files = environment(derivation, build=BUILD, cores=cores)
    for name, mode in (("store", 0o1775), ("build", 0o700), ("etc", 0o755)):  # nix's own modes
        os.makedirs(f"{top}/{name}")
        os.chmod(f"{top}/{name}", mode)
    for name, text in files.items():
        _write(f"{top}/build/{name}", text)
    for name, text in ETC.items():
        _write(f"{top}/etc/{name}", text)
    command = [bubblewrap(), *_walls(room, top), *_variables(env), "--", derivation.builder, *derivation.args]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={}
    ) as it:
        assert it.stdout is not None
        try:
            _pass_on(it.stdout.fileno(), log, limits)
        except BaseException:
            it.kill()
            raise
    return it.returncode


def _pass_on(printed: int, log: int, limits: TimeLimits) -> None:
    """Copy what is printed, up to its end."""
    begun = time.monotonic()
    watch = select.poll()
    watch.register(printed, select.POLLIN)
    while True:
        left = None if limits.whole is None else max(0.0, begun + limits.whole - time.monotonic())
        wait = min((each for each in (left, limits.silent) if each is not None), default=None)
        came = watch.poll(None if wait is None else wait * 1000)
        if left == 0 or (not came and wait == left):
            raise TookTooLong(f"timed out after {limits.whole:g} seconds")
        if not came:
            raise TookTooLong(f"timed out after {limits.silent:g} seconds of silence")
        text = os.read(printed, 1 << 16)
        if not text:
            return
        while text:
            text = text[os.write(log, text) :]


def store(top: str) -> str:
    """The directory that holds what a builder has written to /nix/store."""
    return f"{top}/store"


def _walls(room: SandboxMounts, top: str) -> list[str]:
    words = ["--unshare-all", "--die-with-parent", "--uid", "1000", "--gid", "100", "--hostname", "localhost"]
    words += ["--perms", "0750", "--tmpfs", "/", "--bind", store(top), "/nix/store"]
    for path in room.closure:
        words += ["--ro-bind", path, path]
    words += ["--bind", f"{top}/build", BUILD, "--dev", "/dev", "--proc", "/proc"]
    words += ["--perms", "1777", "--tmpfs", "/tmp", "--dev-bind-try", "/dev/kvm", "/dev/kvm"]
    words += ["--ro-bind", f"{top}/etc", "/etc"]
    for outside, inside in room.binds:
        words += ["--ro-bind", outside, inside]
    for outside, inside in room.writable:
        words += ["--bind", outside, inside]
    return [*words, "--chdir", BUILD, "--clearenv"]


def _variables(env: Mapping[str, str]) -> list[str]:
    return [word for name, value in env.items() for word in ("--setenv", name, value)]


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
