"""What runs when a program is started: itself, its loader and libraries, or its `#!` interpreter and that one's.

Of binutils, `ar`, `nm` and `ranlib` load every plugin in `bfd-plugins` before they look at the first object, whatever it
is (bfd/plugin.c, `load_plugin`; strace shows it of 2.40 with plain ELF objects). Wherever clang is installed they load
LLVM's plugin, with a library of 100 MB. Only bitcode needs it, but members may not be made yet when the call is recorded,
and whether one is bitcode is known later: so the models list plugins apart from tools. GCC's wrappers (`gcc-ar`) name the
compiler's own plugin, and then no other is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from gg.light.regex import regex
from gg.models.drafts import Probe
from gg.models.linking.linkline import LinkLine
from gg.models.linking.loader import Loader
from gg.models.toolchain.view import View, search_path

_PLUGGED = regex(rb"^(?:.*-)?(?:ar|nm|ranlib)(?:-\d[\d.]*)?$")  # seen with strace: of binutils 2.40 just these do
_WRAPPER = regex(rb"^(.*-)?gcc-(ar|nm|ranlib)(-\d[\d.]*)?$")
_MAX_SCRIPT = 65536  # bytes: what is longer is a program in its own right, not a wrapper
_MAX_DEPTH = 4  # Linux follows as many `#!` (BINPRM_MAX_RECURSION in linux/binfmts.h)


class Linking(Protocol):
    """What is asked of a compiler here: how it links."""

    def link_line(self) -> LinkLine | None: ...


class ProbedMachine:
    """What was learnt through one probe: its view, its loader, the program files found. `compiler` tells how a driver links."""

    def __init__(
        self, probe: Probe, compiler: Callable[[ProbedMachine, bytes, Mapping[bytes, bytes]], Linking]
    ) -> None:
        self._compiler = compiler
        self.view = View(probe)
        self.loader = Loader(self.view)
        self.compilers: dict[object, Linking] = {}
        self.locales: dict[object, tuple[bytes, ...]] = {}
        self._programs: dict[tuple[bytes, tuple[tuple[bytes, bytes], ...], bool], tuple[bytes, ...]] = {}

    def program_files(self, program: bytes, env: Mapping[bytes, bytes], *, plugins: bool = True) -> tuple[bytes, ...]:
        key = (program, tuple(sorted(env.items())), plugins)
        known = self._programs.get(key)
        if known is None:
            known = tuple(dict.fromkeys(self._files(program, env, 0, plugins=plugins)))
            if self.view.stable(program):
                self._programs[key] = known
        return known

    def _files(
        self, program: bytes, env: Mapping[bytes, bytes], depth: int, *, plugins: bool = True
    ) -> Iterator[bytes]:
        if not self.view.is_file(program):
            return
        yield program
        words = shebang(self.view.head(program, 256))
        if words:
            yield from self._script(program, words, env, depth)
            return
        yield from self.loader.closure(program, env)
        name = program.rpartition(b"/")[2]
        if _WRAPPER.match(name):
            yield from self._wrapped(program, name, env, depth)
        elif plugins and _PLUGGED.match(name):
            yield from self._plugins(program, env)

    def _plugins(self, program: bytes, env: Mapping[bytes, bytes]) -> Iterator[bytes]:
        interpreter = self.view.interpreter(program)
        for directory in _plugin_dirs(self.view.realpath(program), self.view.realpath(interpreter)):
            for plugin in self.view.plugins(directory):
                yield plugin
                yield from self.loader.closure(plugin, env, interpreter)

    def _wrapped(self, program: bytes, name: bytes, env: Mapping[bytes, bytes], depth: int) -> Iterator[bytes]:
        """The files that gcc-ar starts (gcc/gcc-ar.cc): the `ar` that its compiler would find, and the compiler's plugin."""
        tool = _WRAPPER.match(name)
        assert tool
        gcc = program[: -len(name)] + (tool[1] or b"") + b"gcc" + (tool[3] or b"")
        line = self._compiler(self, gcc, env).link_line()
        if line is None:
            return
        places = (*line.compiler_path, *search_path(env))
        found = self.view.which((tool[1] or b"") + tool[2], places) or self.view.which(tool[2], places)
        yield from self._files(found, env, depth + 1, plugins=False)
        if self.view.is_file(line.plugin):
            yield line.plugin
            yield from self.loader.closure(line.plugin, env, self.view.interpreter(found))

    def _script(
        self, program: bytes, words: tuple[bytes, ...], env: Mapping[bytes, bytes], depth: int
    ) -> Iterator[bytes]:
        if depth >= _MAX_DEPTH:
            return
        yield from self._files(words[0], env, depth + 1)
        if words[0].rpartition(b"/")[2] == b"env":
            name = next((w for w in words[1:] if not w.startswith(b"-") and b"=" not in w), b"")
            yield from self._files(self.view.which(name, search_path(env)), env, depth + 1)
        text = self.view.head(program, _MAX_SCRIPT)
        if len(text) < _MAX_SCRIPT:
            for path in self.view.mentioned(text):
                yield from self._files(path, env, depth + 1)


def _plugin_dirs(program: bytes, loader: bytes) -> tuple[bytes, ...]:
    """BINDIR/../lib/bfd-plugins and LIBDIR/bfd-plugins (bfd/plugin.c). No program tells its LIBDIR: the usual ones are taken.

    `program` and `loader` are real paths: Debian's LIBDIR has the name of the directory that its loader is in.
    """
    prefix = program.rpartition(b"/")[0].rpartition(b"/")[0]
    multiarch = loader.rpartition(b"/")[0].rpartition(b"/")[2]
    parts = (b"/lib", b"/lib64", *((b"/lib/" + multiarch,) if b"-" in multiarch else ()))
    return tuple(prefix + part + b"/bfd-plugins" for part in parts)


def shebang(head: bytes) -> tuple[bytes, ...]:
    """The words of a `#!` line, the interpreter first, split at blanks as `env -S` does; none if it is no script."""
    if not head.startswith(b"#!"):
        return ()
    words = tuple(head[2:].split(b"\n", 1)[0].split())
    return words if words and words[0].startswith(b"/") else ()
