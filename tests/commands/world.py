"""The files that a real command line needs, invented: small valid sources, headers, objects, archives, libraries.

A package's sources are not kept here, only its command lines. From a command line's own words one can tell what each
file must be: `-c src/util/pty.cc -I../include` wants a C++ source there and a directory of headers. Every include
directory inside the case gets a header, and the sources include the first few of them, so that search paths are
walked as in the real build. Objects and archives are made from a few real ones (`elf.py`), with the symbol
renamed, for a linker's line may name hundreds.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.commands.elf import Templates

C = (b".c", b".i")
CXX = (b".cc", b".cpp", b".cxx", b".c++", b".C", b".ii")
SYSTEM_LIBRARIES = frozenset(b"c m pthread dl rt util stdc++ gcc gcc_s atomic resolv crypt supc++".split())
_DIRECTORY = (b"-I", b"-isystem", b"-iquote", b"-idirafter", b"-L")
_FORCED = (b"-include", b"-imacros")
_WITH_VALUE = frozenset(
    b"-MT -MQ -x -D -U -u -z -Xlinker -Xpreprocessor -Xassembler -soname -h -rpath -rpath-link -m --param -e -A".split()
)


def tool_name(argv0: bytes) -> bytes:
    """`x86_64-linux-gnu-gcc-12` and `/usr/bin/gcc` are gcc."""
    name = os.path.basename(argv0).removeprefix(b"x86_64-linux-gnu-")
    head, _, version = name.rpartition(b"-")
    return head if head and version.isdigit() else name


@dataclass(slots=True)
class Needs:
    """What a command line names, as paths from its cwd."""

    sources: list[bytes] = field(default_factory=list)
    objects: list[bytes] = field(default_factory=list)
    archives: list[bytes] = field(default_factory=list)
    shared: list[bytes] = field(default_factory=list)
    programs: list[bytes] = field(default_factory=list)
    forced: list[bytes] = field(default_factory=list)
    scripts: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    include: list[bytes] = field(default_factory=list)
    library: list[bytes] = field(default_factory=list)
    libraries: list[bytes] = field(default_factory=list)
    linker: list[bytes] = field(default_factory=list)

    def add_file(self, path: bytes) -> None:
        """A positional argument, by its extension."""
        extension = os.path.splitext(path)[1]
        if extension in C + CXX + (b".S", b".s", b".asm", b".sx"):
            self.sources.append(path)
        elif extension in (b".o", b".lo", b".os", b".obj", b".pico"):
            self.objects.append(path)
        elif extension == b".a":
            self.archives.append(path)
        elif b".so" in path[-24:]:
            self.shared.append(path)
        else:
            self.programs.append(path)


def _linker_words(needs: Needs) -> None:
    """Files named by options for the linker; the words of several `-Wl,` may belong together."""
    words = [*needs.linker, b""]
    for at, word in enumerate(words):
        name, equals, value = word.partition(b"=")
        value = value if equals else words[min(at + 1, len(words) - 1)]
        if name.lstrip(b"-") in (b"version-script", b"dynamic-list", b"retain-symbols-file"):
            needs.scripts.append(value)
        elif name.lstrip(b"-") in (b"Map", b"out-implib"):
            needs.outputs.append(value)


def _joined(arg: bytes, value: bytes | None, needs: Needs) -> bool:
    """Options that name a file or directory; whether `value`, the next argument, was its operand."""
    for name in _DIRECTORY:
        if arg.startswith(name):
            target = needs.library if name == b"-L" else needs.include
            target.append(arg[len(name) :] or value or b"")
            return arg == name
    if arg in _FORCED:
        needs.forced.append(value or b"")
        return True
    if arg in (b"-o", b"-MF", b"-T"):
        (needs.scripts if arg == b"-T" else needs.outputs).append(value or b"")
        return True
    if arg.startswith(b"-o") and len(arg) > 2:
        needs.outputs.append(arg[2:])
    elif arg.startswith(b"-l"):
        needs.libraries.append(arg[2:] or value or b"")
        return arg == b"-l"
    elif arg.startswith(b"-Wl,"):
        needs.linker += arg[4:].split(b",")
    elif arg.startswith((b"--version-script", b"--dynamic-list")):
        needs.linker.append(arg)
    return arg in _WITH_VALUE


def _driver(args: Sequence[bytes]) -> Needs:
    needs, skip = Needs(), False
    for at, arg in enumerate(args):
        if skip:
            skip = False
        elif arg.startswith(b"-"):
            skip = _joined(arg, args[at + 1] if at + 1 < len(args) else None, needs)
        else:
            needs.add_file(arg)
    _linker_words(needs)
    return needs


def _nasm(args: Sequence[bytes]) -> Needs:
    needs, skip = Needs(), False
    for at, arg in enumerate(args):
        value = args[at + 1] if at + 1 < len(args) else b""
        if skip:
            skip = False
        elif arg in (b"-o", b"-MF", b"-l"):
            needs.outputs.append(value)
            skip = True
        elif arg[:2] in (b"-P", b"-p") and arg != b"-p" and len(arg) > 2:
            needs.forced.append(arg[2:])
        elif arg in (b"-P", b"-p"):
            needs.forced.append(value)
            skip = True
        elif arg in (b"-f", b"-F", b"-I", b"-D", b"-i", b"-MT", b"-MQ", b"-MD"):
            if arg in (b"-I", b"-i"):
                needs.include.append(value)
            skip = arg != b"-MD" or not value.startswith(b"-")
            if arg == b"-MD" and skip:
                needs.outputs.append(value)
        elif arg[:2] in (b"-I", b"-i"):
            needs.include.append(arg[2:])
        elif not arg.startswith(b"-"):
            needs.add_file(arg)
    return needs


def _archiver(args: Sequence[bytes]) -> Needs:
    needs = Needs()
    words = [arg for arg in args if not arg.startswith(b"--")]
    letters, archive, members = words[0].lstrip(b"-"), words[1], words[2:]
    (needs.outputs if set(letters) & set(b"rq") else needs.archives).append(archive)
    for member in members:
        needs.add_file(member)
    return needs


def _binary_tool(args: Sequence[bytes]) -> Needs:
    needs = Needs()
    for arg in args:
        if not arg.startswith(b"-"):
            needs.add_file(arg)
    return needs


def needs_of(argv: Sequence[bytes]) -> Needs:
    """What one command line names."""
    match tool_name(argv[0]):
        case b"nasm" | b"yasm":
            return _nasm(argv[1:])
        case b"ar" | b"gcc-ar":
            return _archiver(argv[1:])
        case b"ranlib" | b"gcc-ranlib" | b"strip" | b"nm" | b"gcc-nm" | b"objcopy" | b"objdump" | b"size":
            return _binary_tool(argv[1:])
        case _:
            return _driver(argv[1:])


def _makes_program(argv: Sequence[bytes]) -> bool:
    partial = {b"-c", b"-S", b"-E", b"-shared", b"-r", b"-nostdlib", b"-M", b"-MM", b"-fsyntax-only"}
    return tool_name(argv[0]) in (b"gcc", b"g++", b"cc", b"c++", b"clang", b"clang++") and not partial & set(argv)


def _mark(path: bytes) -> bytes:
    """Eight hexadecimal digits that name a file in its symbols."""
    return b"%08x" % zlib.crc32(path)


def _source(path: bytes, headers: Sequence[bytes], main: bool) -> bytes:
    mark, extension = _mark(path), os.path.splitext(path)[1]
    if extension == b".asm":
        return b"section .text\nglobal f_%s\nf_%s:\n    mov eax, %d\n    ret\n" % (mark, mark, len(path))
    if extension == b".s":
        return b"    .text\n    .globl f_%s\nf_%s:\n    nop\n" % (mark, mark)
    lines = [b'#include "%s"' % header for header in headers]
    if extension in (b".S", b".sx"):
        lines += [b"    .text", b"    .globl f_%s" % mark, b"f_%s:" % mark, b"    nop"]
        return b"\n".join(lines) + b"\n"
    lines.insert(0, b"#include <cstddef>" if extension in CXX else b"#include <stddef.h>")
    lines.append(b"int f_%s(int x);" % mark)
    unused = b" int unused_%s;" % mark if int(mark, 16) % 3 == 0 else b""
    lines.append(b"int f_%s(int x) {%s return x + (int)sizeof(size_t) + __LINE__; }" % (mark, unused))
    if extension in CXX:
        lines.append(
            b"namespace { struct n_%s { virtual ~n_%s() {} }; } int g_%s() { n_%s n; return 1; }" % ((mark,) * 4)
        )
    if main:
        lines.append(b"int main(void) { return f_%s(0) == -1; }" % mark)
    return b"\n".join(lines) + b"\n"


def _header(path: bytes) -> bytes:
    mark = _mark(path)
    return b"#ifndef H_%s\n#define H_%s 1\n#ifndef __ASSEMBLER__\nextern int h_%s;\n#endif\n#endif\n" % ((mark,) * 3)


class World:
    """Collects what the command lines of one case need; `files` maps paths in the case's directory to contents."""

    def __init__(self, top: bytes, cwd: bytes, templates: Templates) -> None:
        self.files: dict[bytes, bytes] = {}
        self.directories: set[bytes] = {cwd}
        self._top, self._cwd, self._templates = top, cwd, templates

    def _inside(self, path: bytes) -> bytes | None:
        """The path from the case's directory; None for one of the system's."""
        full = os.path.normpath(os.path.join(self._top, self._cwd, path))
        if full == self._top:
            return b""
        return full[len(self._top) + 1 :] if full.startswith(self._top + b"/") else None

    def _put(self, path: bytes, content: bytes) -> None:
        inside = self._inside(path)
        if inside:
            self.files.setdefault(inside, content)

    def _headers(self, directories: Sequence[bytes]) -> list[bytes]:
        names: list[bytes] = []
        for directory in directories:
            inside = self._inside(directory)
            if inside is not None:
                name = b"gg_%s.h" % _mark(inside)
                self._put(os.path.join(directory, name), _header(inside))
                names.append(name)
        return list(dict.fromkeys(names))[:3]

    def _library(self, name: bytes, directories: Sequence[bytes], static: bool) -> None:
        inside = [directory for directory in directories if self._inside(directory) is not None]
        if name in SYSTEM_LIBRARIES or name.startswith(b":") or not inside:
            return
        shared = not static and zlib.crc32(name) % 2 == 0
        path = os.path.join(inside[0], b"lib" + name + (b".so" if shared else b".a"))
        self._put(path, self._templates.shared if shared else self._templates.archive(_mark(name)))

    def add(self, argv: Sequence[bytes]) -> None:
        """Invent what `argv` reads, and the directories that it writes into."""
        needs, main = needs_of(argv), _makes_program(argv)
        nasm = tool_name(argv[0]) in (b"nasm", b"yasm")
        headers = self._headers(needs.include)
        for path in needs.outputs:
            self.directories.add(os.path.dirname(self._inside(path) or b""))
        for path in needs.forced:
            self._put(path, b"%define FORCED 1\n" if nasm else b"#define FORCED_%s 1\n" % _mark(path))
        for path in needs.scripts:
            self._put(path, b"STUB_1 { global: f_*; local: *; };\n")
        for at, path in enumerate(needs.sources):
            self._put(path, _source(path, [] if nasm else headers, main and at == 0))
        for at, path in enumerate(needs.objects):
            self._put(path, self._templates.object(_mark(path), main and at == 0 and not needs.sources))
        for path in needs.archives:
            self._put(path, self._templates.archive(_mark(path)))
        for path in needs.shared:
            self._put(path, self._templates.shared)
        for path in needs.programs:
            self._put(path, self._templates.program)
        for name in needs.libraries:
            self._library(name, needs.library, b"-static" in argv)
