"""What -march=native stands for on this machine, read off the command that the driver prints. Pure."""

from __future__ import annotations

from itertools import pairwise

from gg.models.toolchain.transcript import Argv, Transcript

CpuFlags = tuple[bytes, ...]

_NATIVE = frozenset((b"-march=native", b"-mtune=native", b"-mcpu=native", b"-mfpu=auto"))


def is_native(flag: bytes) -> bool:
    """Whether a flag means something else on each machine."""
    return flag in _NATIVE


def expansion(said: Transcript) -> CpuFlags | None:
    """All machine flags in the command of the compiler proper, `native` ones replaced; None when there is no such command."""
    command = next((c for c in said.commands if b"/dev/null" in c), None)
    if command is None:
        return None
    found = _of_clang(command) if said.flavour == "clang" else _of_gcc(command)
    return None if not found or any(is_native(flag) for flag in found) else found


def _of_gcc(command: Argv) -> CpuFlags:
    """cc1's -m flags and --param words, in their order: the driver hands them on in the order they were given."""
    found: list[bytes] = []
    for index, word in enumerate(command):
        if word == b"--param":
            found += command[index : index + 2]
        elif word.startswith(b"-m") and word not in (b"-mllvm", b"-main-file-name"):
            found.append(word)
    return tuple(found)


def _of_clang(command: Argv) -> CpuFlags:
    """The processor, and each feature as an option of cc1, for those that the driver has no flag for."""
    found: list[bytes] = []
    for word, value in pairwise(command):
        if word == b"-target-cpu":
            found.append(b"-march=" + value)
        elif word == b"-tune-cpu":
            found.append(b"-mtune=" + value)
        elif word == b"-target-feature":
            found += (b"-Xclang", word, b"-Xclang", value)
    return tuple(found)
