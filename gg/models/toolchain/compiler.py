"""What a session knows of one compiler driver. It asks lazily, each question once.

The questions, and the CPU time that each took on a 2-core machine (gcc 12, clang 14):

    identity   -v -### -c on nothing, for C, C++ and assembly at once: flavour, version, programs    2 ms   30 ms
    include    -E -v of nothing, for a language and its flags: search directories                   12 ms   35 ms
    link       -### of a link, for its flags: the linker's command                                    2 ms   28 ms
    native     -### with -march=native: what it stands for                                            2 ms   28 ms
    accepts    -fsyntax-only of one declaration with a set of options                                 10 ms   25 ms
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from gg.light.regex import regex
from gg.models.linking import linkline
from gg.models.linking.linkline import INPUTS, OUTPUT, LinkLine
from gg.models.toolchain import transcript
from gg.models.toolchain.cpu_flags import expansion, is_native
from gg.models.toolchain.programs import ProbedMachine, shebang
from gg.models.toolchain.transcript import Transcript
from gg.models.toolchain.view import search_path

Flags = tuple[bytes, ...]

# Which of GCC's own programs serve a role (gcc/*/lang-specs.h). Fortran is preprocessed by f951, old GCCs use cc1.
_PASSES: Mapping[str, tuple[bytes, ...]] = {
    "c": (b"cc1",),
    "c++": (b"cc1plus",),
    "objc": (b"cc1obj",),
    "objc++": (b"cc1objplus",),
    "fortran": (b"f951", b"cc1"),
    "asm-cpp": (b"cc1",),
    "preprocess": (b"cc1",),
    "as": (b"as",),
    "link": (),
    "lto": (b"lto1", b"as"),
}
# Programs that the first question does not ask for, or that some drivers do not tell in its answer.
_LANGUAGES = {"c++": b"c++", "objc": b"objective-c", "objc++": b"objective-c++", "fortran": b"f95", "lto": b"lto"}
_COMMON: Flags = (b"-x", b"assembler-with-cpp", INPUTS, b"-x", b"c", INPUTS, b"-x", b"c++", INPUTS)

# lto-wrapper runs `make` when it works in parallel (-flto=auto); the rules that it writes use the others.
_LTO_HELPERS = (b"make", b"sh", b"touch", b"mv")

# Clang looks at these to tell the distribution, and its linker options depend on it (lib/Driver/Distro.cpp).
_DISTRO = (
    b"/etc/lsb-release",
    b"/etc/os-release",
    b"/usr/lib/os-release",
    b"/etc/redhat-release",
    b"/etc/debian_version",
    b"/etc/SuSE-release",
    b"/etc/exherbo-release",
    b"/etc/alpine-release",
    b"/etc/arch-release",
    b"/etc/gentoo-release",
)

# Flags whose operand may be a relative path: with one of these, an answer holds in one directory only.
_PATHY = regex(rb"-(?:B|I|L|i|-?specs|-sysroot|-?gcc-toolchain|-prefix|resource-dir|fuse-ld=\.?/|-config)|[^-]")
_VALUED = (b"--param", b"-mllvm", b"-target")  # their operands name no file
_MACHINE = regex(rb"-m(?!llvm)|--target=")  # what the compiler proper is told, and this module hands on


class CompilerFacts:
    """One driver. `cwd` is where a relative path among `flags` is meant; it counts only when there may be one.

    Answers of None mean that the compiler did not say: the call that needs them should run for real.
    """

    def __init__(self, machine: ProbedMachine, program: bytes, env: Mapping[bytes, bytes]) -> None:
        self._machine = machine
        self._view = machine.view
        self._env = env
        self._path = search_path(env)
        self._identities: dict[object, Transcript] = {}
        self._includes: dict[object, tuple[bytes, ...] | None] = {}
        self._links: dict[object, LinkLine | None] = {}
        self._natives: dict[Flags, Flags | None] = {}
        self._files: dict[object, tuple[bytes, ...]] = {}
        self.program = program

    @property
    def flavour(self) -> str:
        """'gcc' or 'clang'; empty for a compiler that is neither."""
        return self._identity().flavour

    @property
    def version(self) -> tuple[int, ...]:
        """(12, 2, 0); empty when it is not known."""
        return self._identity().version

    @property
    def version_line(self) -> bytes:
        """The line in which the compiler names its version and its packager."""
        return self._identity().version_line

    @property
    def target(self) -> bytes:
        """The triple: b"x86_64-linux-gnu"."""
        return self._identity().target

    @cached_property
    def is_script(self) -> bool:
        """Whether the driver is a script around another one (nix's cc-wrapper, musl-gcc, Debian's c99)."""
        return bool(shebang(self._view.head(self.program, 256)))

    def include_dirs(self, language: str, flags: Flags = (), cwd: bytes = b"/") -> tuple[bytes, ...] | None:
        """The directories of `#include <…>`, in order and as the compiler prints them.

        `language` is a name for -x ("c", "c++", "objective-c", "assembler-with-cpp"). `flags` are those that matter:
        -m32, -std=, -nostdinc, -stdlib=, --sysroot, -isysroot, -B, -specs, --target, -pthread. The directories of a -I
        or -isystem among them are in the answer.
        """
        key = (language, flags, _place(flags, cwd))
        if key not in self._includes:
            argv = (self.program, *flags, b"-E", b"-v", b"-x", language.encode(), INPUTS)
            done = self._view.run(argv, self._env, _place(flags, cwd))
            self._includes[key] = transcript.include_dirs(done.stderr) if done.status == 0 else None
        return self._includes[key]

    def link_line(self, flags: Flags = (), cwd: bytes = b"/") -> LinkLine | None:
        """How the driver would link with `flags`: -shared, -static, -pie, -pthread, -fopenmp, -nostdlib, -m32, …"""
        key = (flags, _place(flags, cwd))
        if key not in self._links:
            argv = (self.program, *flags, b"-###", INPUTS, b"-o", OUTPUT)
            done = self._view.run(argv, self._env, _place(flags, cwd))
            said = transcript.parse(done.stderr)
            linker = self._linker_of(said)
            self._links[key] = linkline.parse(said, linker) if done.status == 0 else None
        return self._links[key]

    def library_dirs(self, flags: Flags = (), cwd: bytes = b"/") -> tuple[bytes, ...]:
        """The -L that the driver itself gives to the linker, as printed; the linker's own come after them."""
        line = self.link_line(flags, cwd)
        return line.library_dirs if line else ()

    def expand_native(self, flags: Flags) -> Flags | None:
        """`flags` with -march=native, -mtune=native and -mcpu=native replaced by what they mean on this machine.

        None when the compiler did not say. The code is the same as with `native`. What records the command line is not:
        GCC's DW_AT_producer (any -g without -gno-record-gcc-switches) and -frecord-gcc-switches of both name each
        --param later than they would; so such a call should run for real.
        """
        wanted = tuple(f for f in flags if is_native(f))
        if not wanted:
            return flags
        machine_flags = tuple(f for f in flags if _MACHINE.match(f))
        if machine_flags not in self._natives:
            done = self._view.run((self.program, *machine_flags, b"-###", b"-E", b"-x", b"c", INPUTS), self._env, b"/")
            said = transcript.parse(done.stderr)
            self._natives[machine_flags] = expansion(said) if done.status == 0 else None
        meaning = self._natives[machine_flags]
        if meaning is None:
            return None
        first = flags.index(wanted[0])
        others = [f for f in flags if not _MACHINE.match(f)]
        at = sum(not _MACHINE.match(f) for f in flags[:first])
        return (*others[:at], *meaning, *others[at:])

    def files(
        self, roles: frozenset[str], linker: bytes = b"", flags: Flags = (), cwd: bytes = b"/"
    ) -> tuple[bytes, ...]:
        """Everything that runs or is loaded when the driver does `roles`: absolute, links not followed, itself first.

        Programs, their loaders and libraries, plugins, spec files, and the files by which clang knows its surroundings.
        `roles` are among c, c++, objc, objc++, fortran, asm-cpp, preprocess, as, link and lto (KeyError for another
        word); whoever assembles names `as` too. `linker` is the operand of -fuse-ld=, `flags` are those by which
        programs are found: -B, -specs, --target, -m32.
        """
        key = (roles, linker, flags, _place(flags, cwd))
        if key not in self._files:
            self._files[key] = tuple(dict.fromkeys(self._all_files(roles, linker, flags, cwd)))
        return self._files[key]

    def accepts(self, flags: Flags, then: Flags, cwd: bytes = b"/") -> bool:
        """Whether the driver succeeds with `flags` and `then`. `then` must keep it from writing anything.

        -v makes it tell which programs it starts. Its answer depends on these, so the answer can be kept for later sessions.
        """
        pathy = tuple(flag for before, flag in zip((b"", *flags), flags, strict=False) if before not in _VALUED)
        return self._view.run((self.program, *flags, b"-v", *then), self._env, _place(pathy, cwd)).status == 0

    # Questions

    def _identity(self, flags: Flags = (), cwd: bytes = b"/", language: bytes = b"") -> Transcript:
        key = (language, flags, _place(flags, cwd))
        if key not in self._identities:
            sources = (b"-x", language, INPUTS) if language else _COMMON
            said = self._ask((*flags, b"-v", b"-###", b"-c", *sources), flags, cwd)
            if not said.commands:  # cpp takes neither -c nor several files
                said = self._ask((*flags, b"-v", b"-###", b"-E", b"-x", language or b"c", INPUTS), flags, cwd)
            self._identities[key] = said
        return self._identities[key]

    def _ask(self, words: Flags, flags: Flags, cwd: bytes) -> Transcript:
        return transcript.parse(self._view.run((self.program, *words), self._env, _place(flags, cwd)).stderr)

    # Files

    def _all_files(self, roles: frozenset[str], linker: bytes, flags: Flags, cwd: bytes) -> Iterator[bytes]:
        said = self._identity(flags, cwd)
        yield from self._closure(self.program)
        if said.called_as:  # the driver behind a script, and what lto-wrapper starts again
            yield from self._closure(self._view.which(said.called_as, self._path))
        yield from said.specs
        if said.flavour == "clang":
            yield from self._clang_files(said)
            passes: Iterator[bytes] = (c[0] for c in said.commands)
        else:
            passes = self._passes(roles, flags, cwd)
        for name in passes:
            yield from self._closure(self._locate(name, said))
        if "link" in roles:
            yield from self._link_files(linker, flags, cwd)
        if "lto" in roles:
            yield from self._closure(self._locate(b"lto-wrapper", said))
            for name in _LTO_HELPERS:
                yield from self._closure(self._view.which(name, self._path))

    def _passes(self, roles: frozenset[str], flags: Flags, cwd: bytes) -> Iterator[bytes]:
        """The programs of GCC that serve `roles`, as the driver names them."""
        for role in sorted(roles):
            wanted = _PASSES[role]
            found = _named(self._identity(flags, cwd), wanted)
            if role in _LANGUAGES and not _named(self._identity(flags, cwd), wanted[:1]):
                found = _named(self._identity(flags, cwd, _LANGUAGES[role]), wanted)
            yield from found

    def _clang_files(self, said: Transcript) -> Iterator[bytes]:
        yield from (path for path in _DISTRO if self._view.is_file(path))
        for directory in said.installations:  # one counts as a GCC installation when it holds this file
            for part in (b"", b"/32", b"/64", b"/x32"):
                if self._view.is_file(path := directory + part + b"/crtbegin.o"):
                    yield path

    def _link_files(self, linker: bytes, flags: Flags, cwd: bytes) -> Iterator[bytes]:
        choice = (b"-fuse-ld=" + linker,) if linker else ()
        line = self.link_line((*flags, *choice), cwd)
        if line is None:
            return
        yield from line.specs
        for program in (line.collect, line.linker):
            yield from self._closure(program)
        if line.collect:
            yield from self._looked_for(self._identity(flags, cwd))
        if self._view.is_file(line.plugin):
            yield line.plugin
            yield from self._machine.loader.closure(line.plugin, self._env, self._view.interpreter(line.linker))
        yield from self._closure(line.lto_wrapper)

    def _looked_for(self, said: Transcript) -> Iterator[bytes]:
        """The programs that collect2 looks for in any case, and never starts where objects are ELF's (gcc/collect2.cc, `main`)."""
        prefix = said.target + b"-" if said.cross else b""
        for name in (b"nm", b"strip"):
            for each in (b"g" + name, name):
                found = self._view.which(each, said.compiler_path) or self._view.which(prefix + each, self._path)
                if found:
                    yield found
                    break

    def _closure(self, program: bytes) -> tuple[bytes, ...]:
        return self._machine.program_files(program, self._env) if program else ()

    def _locate(self, name: bytes, said: Transcript) -> bytes:
        return self._view.which(name, (*said.compiler_path, *self._path))

    def _linker_of(self, said: Transcript) -> bytes:
        """The program that links: the one that clang names, or that collect2 will find (gcc/collect2.cc, `main`)."""
        command = linkline.link_command(said)
        if command is None:
            return b""
        if not linkline.is_collect(command):
            return self._locate(command[0], said)
        choice = linkline.linker_choice(command)
        name = b"ld." + choice if choice else b"ld"
        if said.with_ld and not choice:
            return self._view.which(said.with_ld, ())
        for special in (b"real-ld", b"collect-ld"):
            if found := self._locate(special, said):
                return found
        native = self._view.which(name, said.compiler_path)
        return native or self._path_linker(name, said)

    def _path_linker(self, name: bytes, said: Transcript) -> bytes:
        """A linker found in PATH, where a cross GCC looks for TRIPLE-ld and a native one for ld."""
        name = said.target + b"-" + name if said.cross else name
        return self._view.which(name, self._path)


def _named(said: Transcript, wanted: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The programs of an answer that have one of these names, which a cross assembler has behind a prefix."""
    found = []
    for program in (command[0] for command in said.commands):
        name = program.rpartition(b"/")[2]
        if name in wanted or name.rpartition(b"-")[2] in wanted:
            found.append(program)
    return tuple(found)


def _place(flags: Flags, cwd: bytes) -> bytes:
    return cwd if any(_PATHY.match(flag) for flag in flags) else b"/"
