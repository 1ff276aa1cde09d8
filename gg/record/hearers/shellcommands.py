"""What single commands of a shell's text do, as far as their words tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from gg.light.regex import regex
from gg.models.tool_names import tool_name
from gg.record.hearers.shelltokens import ANY

ShellWords = tuple[bytes, ...]

_DESCENDS = (b"cd", b"make", b"gmake", b"test", b"[", b"echo", b":", b"true", b"set")
"""What a makefile does for each of its directories: `(cd $d && make) || eval $failcom`, `|| fail=yes`, `|| case … esac`
remember a failure, or end by it. That is how automake goes down, and nobody does another thing instead.
"""
_STEPS = (b"mv", b"cp", b"ln", b"rm", b"install", b"mkdir", b"chmod", b"cd", b":", b"true", b"make", b"gmake", b"exit")
_ASKS = (b"test", b"[", b"[[", b"ls", b"stat", b"find")
_ALL = b"."  # of a directory
_OWN = frozenset(
    b". : [[ (( alias cd command declare eval exec export getopts hash let local popd pushd read set shift source trap type typeset"
    b" ulimit umask unset wait".split()
)
_FILE_TESTS = (b"-e", b"-f", b"-s", b"-x", b"-r", b"-a")


def descend(commands: Sequence[ShellWords]) -> bool:
    """Whether all that these do is to have make build other directories."""
    return all(os.path.basename(command[0]) in _DESCENDS for command in commands)


def is_a_step(command: ShellWords) -> bool:
    """Whether it only goes on with what was made, or fails as well."""
    return command[0] in _STEPS or tool_name(os.path.basename(command[0])) is not None


def asked_for(command: ShellWords) -> list[bytes]:
    """The files whose existence a command asks for."""
    if command[0] not in _ASKS and command[0].strip(ANY):  # `[` is a pattern of names, too
        return []
    if command[0] in (b"ls", b"stat"):
        return [word for word in command[1:] if not word.startswith(b"-")] or [_ALL]
    if command[0] == b"find":
        return [_ALL]
    return [word for option, word in pairwise(command) if option in _FILE_TESTS]


@lru_cache(maxsize=1024)
def is_known(name: bytes) -> bool:
    """Whether it is the shell's own, or a program: no function."""
    from shutil import which

    return b"/" in name or ANY in name or name in _OWN or which(os.fsdecode(name)) is not None


def only_ends(name: bytes, text: bytes) -> bool:
    """Whether all that is done with a variable is to end the shell, or a function of it, with it."""
    uses = regex(rb"\$\{?" + name + rb"\b").findall(text)
    ends = regex(rb"\b(?:exit|return)[ \t]+\"?\$\{?" + name + rb"\b").findall(text)
    return len(uses) == len(ends) > 0


def files(argv: Sequence[bytes]) -> list[bytes]:
    """The names, without directories, that a call may be about: those that it is given, and what it makes without being told."""
    names = [os.path.basename(word) for word in argv[1:] if not word.startswith(b"-")]
    made = [] if b"-o" in argv else [b"a.out", *(name.rpartition(b".")[0] + b".o" for name in names)]
    return names + made


def fits(word: bytes, name: bytes) -> bool:
    """Whether a word of the text may have become a path with this name."""
    first, *others = os.path.basename(word).split(ANY)
    return name.startswith(first) and name.endswith(others[-1]) if others else name == first
