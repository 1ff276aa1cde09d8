"""What is built into a linker: its family, the directories that it searches, its sysroot."""

from __future__ import annotations

from collections.abc import Mapping

from gg.light.regex import regex
from gg.models.binutils.common import question_env
from gg.models.drafts import Probe

_NO_ENV: Mapping[bytes, bytes] = {}
_SEARCH_DIR = regex(rb'SEARCH_DIR\("([^"]*)"\)')
_WINDOWS = regex(rb"i386pe|arm64pe|thumb2pe|arm_?pe")


def flavour_of(name: bytes) -> str:
    """The family of a linker, from the name of its program: "bfd" unless it says otherwise."""
    base = name.rpartition(b"/")[2]
    for mark, flavour in ((b"gold", "gold"), (b"lld", "lld"), (b"mold", "mold"), (b"sold", "mold")):
        if mark in base:
            return flavour
    return "bfd"


def default_search_dirs(
    probe: Probe, linker: bytes, env: Mapping[bytes, bytes] = _NO_ENV, emulation: bytes = b"", flavour: str = ""
) -> tuple[bytes, ...]:
    """The directories built into the linker program (absolute path), a leading `=` for the sysroot kept.

    GNU ld prints them with --verbose. gold has two and does not print them; lld and mold have none.
    """
    flavour = flavour or flavour_of(linker)
    if flavour == "gold":
        return (b"=/lib", b"=/usr/lib")
    if flavour != "bfd":
        return ()
    return tuple(_SEARCH_DIR.findall(_own_script(probe, linker, env, emulation)))


def makes_windows(
    probe: Probe, linker: bytes, env: Mapping[bytes, bytes] = _NO_ENV, emulation: bytes = b"", flavour: str = ""
) -> bool:
    """Whether the linker makes programs for Windows: by its emulation's name, or its own script."""
    if (flavour or flavour_of(linker)) != "bfd" or emulation:
        return _WINDOWS.match(emulation) is not None
    return b"OUTPUT_FORMAT(pe" in _own_script(probe, linker, env, emulation)


def _own_script(probe: Probe, linker: bytes, env: Mapping[bytes, bytes], emulation: bytes) -> bytes:
    select = (b"-m", emulation) if emulation else ()
    return probe.run((linker, *select, b"--verbose"), question_env(linker, env)).stdout


def default_sysroot(probe: Probe, linker: bytes, env: Mapping[bytes, bytes] = _NO_ENV, flavour: str = "") -> bytes:
    """The sysroot built into the linker; empty for the root, and for linkers that have none."""
    if (flavour or flavour_of(linker)) != "bfd":
        return b""
    answer = probe.run((linker, b"--print-sysroot"), question_env(linker, env))
    return answer.stdout.strip().rstrip(b"/") if answer.status == 0 else b""
