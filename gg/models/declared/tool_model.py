"""The model of a tool that the user declares: the table says what a call reads and writes.

What the tool reads and the table does not say is found when the thunk runs, and remembered with its result. What it
looks for and does not find is not watched, unless a pattern of the table names where: so a search directory is
declared with its pattern (`inputs = ["{-I}/**/*.proto"]`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from gg.core.secrets import secrets_in
from gg.models.binutils.common import is_trial, split_words
from gg.models.declared.declared_tool import Declarations, Declared
from gg.models.declared.line import DeclaredLine, Unclear, parse
from gg.models.declared.paths import fill, has_magic, matching
from gg.models.drafts import Call, Depfile, Draft, Model, ModelAnswer, PathKind, Probe, RunReal, Writes
from gg.models.linking.entry import Recorded
from gg.models.toolchain import program_files

VERSION = "declared/1"
_KEPT = ("LANG", "LANGUAGE", "LC_*", "TZ", "SOURCE_DATE_EPOCH", "LD_LIBRARY_PATH")


def models(declarations: Declarations) -> dict[str, Model]:
    """A model for each table, by its name."""
    return {name: _Model(table) for name, table in declarations.tables.items()}


class _Model:
    def __init__(self, table: Declared) -> None:
        self._table = table

    def __call__(self, call: Call, probe: Probe) -> ModelAnswer:
        try:
            return _Drafting(self._table, call, probe).draft()
        except Unclear as why:
            return RunReal(str(why), probe=why.probe, nested=True)
        except OSError as error:
            return RunReal(f"cannot read an input: {error.strerror or error}", nested=True)


class _Drafting:
    """The making of one draft."""

    def __init__(self, table: Declared, call: Call, probe: Probe) -> None:
        self._table = table
        self._call = call
        self._probe = probe
        self._list: Callable[[bytes], tuple[bytes, ...]] = getattr(probe, "list_directory", lambda _: ())
        self._files: list[bytes] = []
        line = parse(table, call.argv[1:], self._response)
        self._line: DeclaredLine = line
        self._base = self._at(line.chdir, call.cwd) if line.chdir else call.cwd

    def draft(self) -> Draft:
        line, call = self._line, self._call
        if is_trial((*line.operands(), *line.of("output")), call):
            raise Unclear("a configure step's trial", probe=True)
        outputs = self._outputs()
        written = {os.path.normpath(w.path) for w in outputs}
        if not any(not w.optional and not w.soft for w in outputs):
            raise Unclear("no output is known")
        program, linked = self._program(call.tool.path)
        inputs = [*program, *linked, *self._inputs(written)]
        tools = [] if program else list(program_files(self._probe, call.tool.path, call.env))
        directories = [self._path(d) for d in line.of("directory")]
        optional = [self._path(p) for p in line.of("optional_input")]
        return Draft(
            model=VERSION,
            work=self._table.work,
            argv=call.argv,
            program=call.tool.path,
            env=self._environment(tools, inputs),
            inputs=tuple(dict.fromkeys(inputs)),
            outputs=tuple(outputs),
            tools=tuple(dict.fromkeys(tools)),
            optional_inputs=tuple(p for p in optional if os.path.normpath(p) not in written),
            directories=tuple(directories),
            depfile=self._depfile(outputs),
        )

    # Paths

    @staticmethod
    def _at(path: bytes, directory: bytes) -> bytes:
        return path if path.startswith(b"/") else directory + b"/" + path

    def _path(self, path: bytes) -> bytes:
        return self._at(path, self._base)

    def _response(self, path: bytes) -> list[bytes]:
        return split_words(self._probe.read(self._at(path, self._call.cwd)))

    # What is read

    def _inputs(self, written: set[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for name in self._line.of("input"):
            path = self._path(name)
            kind = self._probe.kind(path)
            if kind is PathKind.MISSING:
                raise Unclear("an input that is not there")
            found += [path] if kind is PathKind.FILE else self._matching(path + b"/**")
        for template in self._table.inputs:
            for name in fill(template, self._line):
                path = self._path(name)
                if has_magic(name):
                    found += self._matching(path)
                elif self._probe.kind(path) is PathKind.FILE:
                    found.append(path)
        return [path for path in found if os.path.normpath(path) not in written]

    def _matching(self, pattern: bytes) -> list[bytes]:
        def is_directory(path: bytes) -> bool:
            return self._probe.kind(path) is PathKind.DIRECTORY

        found = matching(os.path.normpath(pattern), self._list, is_directory)
        return [path for path in found if self._probe.kind(path) is PathKind.FILE]

    # What is started

    def _program(self, path: bytes) -> tuple[list[bytes], list[bytes]]:
        """The program and its libraries as inputs, if this build makes it: it need not be there yet."""
        if not self._probe.is_placeholder(path):
            return [], []
        remember: Callable[[bytes], Recorded | None] = getattr(self._probe, "recorded", lambda _: None)
        recorded = remember(path)
        libraries = [p for p in recorded.inputs if b".so" in os.path.basename(p)] if recorded else []
        return [path], [p for p in libraries if self._probe.kind(p) is PathKind.FILE]

    def _started(self, tools: list[bytes], inputs: list[bytes]) -> Iterable[bytes]:
        """The directories of the other programs that the call starts; those programs become inputs."""
        search = [d for d in self._call.env.get(b"PATH", b"").split(b":") if d.startswith(b"/")]
        for name in (*map(os.fsencode, self._table.programs), *self._line.of("program")):
            places = [self._path(name)] if b"/" in name else [d.rstrip(b"/") + b"/" + name for d in search]
            found = next((p for p in places if self._probe.kind(p) is PathKind.FILE), b"")
            if not found:
                continue
            own, libraries = self._program(found)
            inputs += [*own, *libraries]
            tools += [] if own else program_files(self._probe, found, self._call.env)
            yield found.rpartition(b"/")[0] or b"/"

    def _environment(self, tools: list[bytes], inputs: list[bytes]) -> Mapping[bytes, bytes]:
        wanted = (*_KEPT, "PATH", *self._table.environment)
        given = {os.fsdecode(name): value for name, value in self._call.env.items()}
        secret = secrets_in({name: os.fsdecode(value) for name, value in given.items()})
        env = {
            os.fsencode(name): value
            for name, value in given.items()
            if name not in secret and any(fnmatchcase(name, pattern) for pattern in wanted)
        }
        places = {self._call.tool.path.rpartition(b"/")[0] or b"/", *self._started(tools, inputs)}
        if not self._is_script(tools):  # which may start anything
            search = [d.rstrip(b"/") or b"/" for d in self._call.env.get(b"PATH", b"").split(b":")]
            env[b"PATH"] = b":".join(dict.fromkeys((*(d for d in search if d in places), *sorted(places))))
        env[b"PWD"] = self._call.cwd
        return env

    def _is_script(self, tools: list[bytes]) -> bool:
        if not tools or "PATH" in self._table.environment:
            return bool(tools)
        part: Callable[[bytes, int, int], bytes] | None = getattr(self._probe, "read_part", None)
        return part is not None and part(self._call.tool.path, 0, 2) == b"#!"

    # What is written

    def _outputs(self) -> list[Writes]:
        found: dict[bytes, Writes] = {}
        for word in self._line.words:
            if word.role in ("output", "optional_output", "depfile"):
                self._write(found, word.value, optional=word.role == "optional_output", soft=word.role == "depfile")
        for made in self._table.outputs:
            given = self._line.given
            if (made.when and given.isdisjoint(made.when)) or not given.isdisjoint(made.unless):
                continue
            for name in fill(made.path, self._line):
                self._write(found, name, optional=made.optional, executable=made.executable)
        return list(found.values())

    def _write(
        self,
        found: dict[bytes, Writes],
        name: bytes,
        *,
        optional: bool = False,
        soft: bool = False,
        executable: bool = False,
    ) -> None:
        if name == b"-" or name.startswith(b"/dev/"):
            raise Unclear("the output is no file", probe=True)
        path = self._path(name)
        if has_magic(name) or self._probe.kind(path) is PathKind.DIRECTORY:
            raise Unclear("an output that is no single file")
        found.setdefault(os.path.normpath(path), Writes(path, executable, optional, soft))

    def _depfile(self, outputs: list[Writes]) -> Depfile | None:
        soft = next((w for w in outputs if w.soft), None)
        if soft is None:
            return None
        named = self._line.of("output") or [w.path for w in outputs if not w.soft]
        return Depfile(soft.path, tuple(quoted(name) for name in named))


def quoted(name: bytes) -> bytes:
    """As make reads it in a rule."""
    return name.replace(b"$", b"$$").replace(b"#", b"\\#").replace(b" ", b"\\ ")
