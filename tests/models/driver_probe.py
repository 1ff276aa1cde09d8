"""A toolchain that answers from memory, and calls and drafts for the tests of the compiler drivers' model."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from gg.core.thunk import Work
from gg.models.drafts import Call, Depfile, Draft, Lexer, ModelAnswer, PathKind, Probe, Scan, SearchPath, Tool, Writes
from gg.models.driver.model import VERSION, DriverModel
from gg.models.driver.toolchain_facts import Role
from tests.models.binutils_probe import FakeProbe

CWD = b"/w"
ENV = {b"PATH": b"/opt/bin:/usr/bin:/bin", b"HOME": b"/root", b"MAKEFLAGS": b"-j", b"PWD": CWD}
KEPT = {b"PATH": b"/usr/bin", b"PWD": CWD}
SYSTEM = (b"/usr/lib/gcc/include", b"/usr/include")
SYSTEM_CXX = (b"/usr/include/c++/12", *SYSTEM)
CRT = (b"/usr/lib/crt1.o", b"/usr/lib/libc.a")
LD_ANSWERS: dict[tuple[bytes, ...], bytes] = {
    (b"--verbose",): b'SEARCH_DIR("=/usr/lib");',
    (b"--print-sysroot",): b"\n",
}


@dataclass(frozen=True)
class FakeLine:
    """A link that needs a start file and the C library."""

    linker: bytes = b"/usr/bin/ld"
    before: tuple[bytes, ...] = (b"-o", b"OUTPUT", b"/usr/lib/crt1.o")
    after: tuple[bytes, ...] = (b"-lc",)
    emulation: bytes = b""


class FakeFacts:
    """One compiler, with system directories and a few files of its own. `asked` are the questions, in order."""

    def __init__(
        self, flavour: str, version: tuple[int, ...], *, is_script: bool = False, target: bytes = b"x86_64-linux-gnu"
    ) -> None:
        self.flavour = flavour
        self.target = target
        self.version = version
        self.is_script = is_script
        self.asked: list[tuple[object, ...]] = []

    def include_dirs(self, language: str, flags: tuple[bytes, ...] = (), cwd: bytes = b"/") -> tuple[bytes, ...] | None:
        self.asked.append(("include", language, flags))
        if b"-nostdinc" in flags:
            return ()
        return SYSTEM_CXX if "++" in language else SYSTEM

    def link_line(self, flags: tuple[bytes, ...] = (), cwd: bytes = b"/") -> FakeLine | None:
        self.asked.append(("link", flags))
        shared = (b"-shared",) * (b"-shared" in flags)
        relocatable = (b"-r",) * (b"-r" in flags)
        if b"-nostdlib" in flags or relocatable:
            return FakeLine(before=(*shared, *relocatable, b"-o", b"OUTPUT"), after=())
        return FakeLine(before=(*shared, *FakeLine.before))

    def expand_native(self, flags: tuple[bytes, ...]) -> tuple[bytes, ...] | None:
        return tuple(flag.replace(b"=native", b"=thiscpu") for flag in flags)

    def accepts(self, flags: tuple[bytes, ...], then: tuple[bytes, ...], cwd: bytes = b"/") -> bool:
        self.asked.append(("accepts", flags, then))
        return not any(b"nope" in flag for flag in flags)

    def files(
        self, roles: frozenset[Role], linker: bytes = b"", flags: tuple[bytes, ...] = (), cwd: bytes = b"/"
    ) -> tuple[bytes, ...]:
        named = (linker,) if linker else ()
        return tuple(b"/tools/" + role for role in (*sorted(role.encode() for role in roles), *named))


class FakeToolchain:
    """Every program is the same compiler."""

    output = b"OUTPUT"

    def __init__(self, facts: FakeFacts) -> None:
        self.known = facts

    def facts(self, probe: Probe, program: bytes, env: Mapping[bytes, bytes]) -> FakeFacts:
        return self.known

    def program_files(self, probe: Probe, program: bytes, env: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
        return (program, program + b".needed")

    def locale_files(
        self, probe: Probe, env: Mapping[bytes, bytes], program: bytes, *, converters: bool
    ) -> tuple[bytes, ...]:
        return (b"/tools/gconv",) * converters


class Watched(FakeProbe):
    """A fake machine that notes what is looked for."""

    def __init__(
        self, files: Mapping[bytes, bytes], placeholders: tuple[bytes, ...], answers: Mapping[tuple[bytes, ...], bytes]
    ) -> None:
        super().__init__(files, placeholders, answers)
        self.looks: list[bytes] = []

    def kind(self, path: bytes) -> PathKind:
        self.looks.append(path)
        return PathKind.DIRECTORY if os.path.normpath(path) == b"/" else super().kind(path)


def machine(line: str, *files: str, placeholders: tuple[str, ...] = ()) -> Watched:
    """A machine on which every operand of `line` that looks like a file is one, and `files` too (names below /w)."""
    words = [word for word in shlex.split(line)[1:] if not word.startswith(("-", "@")) and "." in word]
    paths = [name if name.startswith("/") else f"/w/{name}" for name in (*words, *files)]
    there = {os.path.normpath(path).encode(): b"\x7fELF" if path.endswith(".o") else b"" for path in paths}
    there |= dict.fromkeys((*CRT, b"/usr/bin/ld", b"/usr/bin/as", b"/usr/bin/objcopy"), b"\0")
    there |= {directory + b"/x.h": b"" for directory in SYSTEM_CXX}
    return Watched(there, tuple(f"/w/{name}".encode() for name in placeholders), LD_ANSWERS)


def call(line: str, env: Mapping[bytes, bytes] | None = None, cwd: bytes = CWD) -> Call:
    """The call that a line makes, quoted as in a shell; the tool is the first word, in /usr/bin."""
    argv = tuple(word.encode("utf-8", "surrogateescape") for word in shlex.split(line))
    return Call(Tool(argv[0].decode(), b"/usr/bin/" + argv[0]), argv, cwd, {**ENV, **(env or {})})


def facts_of(tool: str) -> FakeFacts:
    return FakeFacts("clang", (14, 0, 6)) if tool.startswith("clang") else FakeFacts("gcc", (12, 2, 0))


def answer(
    line: str,
    probe: FakeProbe | None = None,
    *,
    env: Mapping[bytes, bytes] | None = None,
    cwd: bytes = CWD,
    facts: FakeFacts | None = None,
) -> ModelAnswer:
    """What the model says of a line, the operands being there unless a probe is given."""
    made = call(line, env, cwd)
    model = DriverModel(FakeToolchain(facts or facts_of(made.tool.name)))
    return model(made, probe or machine(line))


def words(text: str) -> tuple[bytes, ...]:
    return tuple(text.encode().split())


def scan(line: str, sources: str, search: SearchPath, kept: str, forced: str = "", defines: str = "") -> Scan:
    """A scan of C, with `kept` being what of the line is handed to the compiler's own -M."""
    program = b"/usr/bin/" + line.split()[0].encode()
    return Scan(Lexer.C, words(sources), search, words(forced), words(defines), (program, *words(kept)))


def draft(
    line: str,
    *,
    inputs: str,
    outputs: str | tuple[Writes, ...],
    tools: str,
    work: Work = Work.COMPILE,
    env: Mapping[bytes, bytes] | None = None,
    optional: str = "",
    directories: tuple[bytes, ...] = (),
    scans: tuple[Scan, ...] = (),
    depfile: Depfile | None = None,
) -> Draft:
    """The whole Draft that is expected of a line. A depfile is the last of the outputs."""
    made = call(line)
    written = tuple(Writes(path) for path in words(outputs)) if isinstance(outputs, str) else outputs
    soft = (Writes(depfile.path, soft=True),) if depfile else ()
    return Draft(
        model=VERSION,
        work=work,
        argv=made.argv,
        program=made.tool.path,
        env={**KEPT, **(env or {})},
        inputs=words(inputs),
        outputs=(*written, *soft),
        tools=tuple(b"/tools/" + name for name in words(tools)),
        optional_inputs=words(optional),
        directories=directories,
        scans=scans,
        depfile=depfile,
    )


PLAIN = SearchPath((), SYSTEM, 0)
PLAIN_CXX = SearchPath((), SYSTEM_CXX, 0)


def include(*user: bytes, quote: tuple[bytes, ...] = (), system: tuple[bytes, ...] = ()) -> SearchPath:
    """A search path of -I, -iquote and -isystem directories before the compiler's own for C."""
    return SearchPath(quote, (*user, *system, *SYSTEM), len(user))
