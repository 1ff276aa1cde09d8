"""Where a source's headers are looked for: the command line's directories, the environment's, the compiler's own.

The order and the removal of duplicates are those of GCC (gcc/incpath.cc, `register_include_chains`,
`merge_include_chains`), which clang follows: -iquote; then -I and CPATH; then -isystem, C_INCLUDE_PATH and its kin, the
compiler's own directories, -idirafter. A -I that is a system directory too counts as that one alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gg.light.slotted import slotted
from gg.models.drafts import Call, PathKind, Probe, SearchPath
from gg.models.driver.command import DriverCommand

_ENVIRONMENT = {
    "c": b"C_INCLUDE_PATH",
    "c++": b"CPLUS_INCLUDE_PATH",
    "objc": b"OBJC_INCLUDE_PATH",
    "objc++": b"OBJCPLUS_INCLUDE_PATH",
    "asm": b"C_INCLUDE_PATH",
}
_FOR_X = {"c": "c", "c++": "c++", "objc": "objective-c", "objc++": "objective-c++", "asm": "assembler-with-cpp"}
_MOST_REMEMBERED = 4096

Names = tuple[bytes, ...]


class HeaderFacts(Protocol):
    """What is asked of the toolchain here."""

    def include_dirs(
        self, language: str, flags: tuple[bytes, ...] = (), cwd: bytes = b"/"
    ) -> tuple[bytes, ...] | None: ...


@slotted()
class Headers:
    """A search path, and all directories that were named, several names of one directory included: the compiler looks at each
    of them, and -Wmissing-include-dirs reports those that are missing.
    """

    search: SearchPath
    directories: tuple[bytes, ...]


class SearchPaths:
    """The search paths of one session, remembered under everything that they depend on."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._known: dict[object, Headers | None] = {}

    def of(self, command: DriverCommand, front: str, call: Call, facts: HeaderFacts) -> Headers | None:
        """The search path for a language ("c", "c++", …); None when the compiler does not tell its own directories."""
        env = call.env
        named = _ENVIRONMENT.get(front, b"C_INCLUDE_PATH")
        everywhere, own = env.get(b"CPATH", b""), env.get(named, b"")
        include = (*command.include, *_elements(everywhere))
        system = (*command.system, *_elements(own))
        flags = tuple(command.header_flags)
        key = (id(facts), front, flags, tuple(command.quote), include, system, tuple(command.after), call.cwd)
        try:
            return self._known[key]
        except KeyError:
            pass
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        builtin = facts.include_dirs(_FOR_X.get(front, "c"), flags, call.cwd)
        if builtin is None:
            self._known[key] = None
            return None
        found = self._known[key] = self._merge(
            quote=self._rooted(command, command.quote),
            include=self._rooted(command, include),
            system=self._rooted(command, system),
            after=(*builtin, *self._rooted(command, command.after)),
            cwd=call.cwd,
        )
        return found

    def _rooted(self, command: DriverCommand, directories: Iterable[bytes]) -> Names:
        """The directories with `=dir` and `$SYSROOT/dir` put below the sysroot (`add_sysroot_to_chain`)."""
        found = []
        for directory in directories:
            rest = directory.removeprefix(b"=").removeprefix(b"$SYSROOT")
            if len(rest) != len(directory) and not command.sysroot:
                command.refuse("a directory under the sysroot, and none is given")
            found.append(directory if len(rest) == len(directory) else command.sysroot + rest)
        return tuple(found)

    def _merge(self, *, quote: Names, include: Names, system: Names, after: Names, cwd: bytes) -> Headers:
        """Lay the lists out in order, each directory once. `after`: the compiler's own directories and those of -idirafter."""
        real: dict[bytes, bytes] = {}
        for name in (*include, *system, *after):
            real[name] = self._probe.realpath(name if name.startswith(b"/") else cwd + b"/" + name)
        systems: dict[bytes, bytes] = {}
        for name in (*system, *after):
            systems.setdefault(real[name], name)
        users: dict[bytes, bytes] = {}
        for name in include:
            if real[name] not in systems:
                users.setdefault(real[name], name)
        bracket = (*users.values(), *systems.values())
        search = SearchPath(tuple(dict.fromkeys(quote)), bracket, len(users))
        return Headers(search, tuple(dict.fromkeys((*quote, *include, *system, *after))))

    def existing(self, headers: Headers, cwd: bytes) -> tuple[bytes, ...]:
        """Those of the directories that are there now."""
        kind = self._probe.kind
        return tuple(
            d for d in headers.directories if kind(d if d.startswith(b"/") else cwd + b"/" + d) is PathKind.DIRECTORY
        )


def _elements(value: bytes) -> list[bytes]:
    """The directories of a colon list; an empty one is the current directory."""
    return [element or b"." for element in value.split(b":")] if value else []
