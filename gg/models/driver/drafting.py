"""Puts the draft of one call of a compiler driver together: inputs, outputs, headers, the link, the dependency file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gg.core.thunk import Work
from gg.light.slotted import slotted
from gg.models.drafts import Call, Depfile, Draft, Lexer, PathKind, Probe, Scan, SearchPath, Writes
from gg.models.driver.accepted import Accepted
from gg.models.driver.assembler import ForAssembler, for_assembler
from gg.models.driver.command import DriverCommand, SourceFile, Stage
from gg.models.driver.dependencies import depfile
from gg.models.driver.flags import GCC
from gg.models.driver.link import resolve_link
from gg.models.driver.naming import beside, main_output
from gg.models.driver.precompiled import precompiled_headers
from gg.models.driver.profile import check_counts, profiles
from gg.models.driver.refusals import MustRunReal, check, specs_read
from gg.models.driver.searchpath import SearchPaths
from gg.models.driver.toolchain_facts import Facts, Role, Toolchain
from gg.models.driver.variables import Environments

VERSION = "gcc/1"

_ROLES: dict[str, Role] = {"c": "c", "c++": "c++", "objc": "objc", "objc++": "objc++", "ir": "c"}


@slotted(frozen=False)
class DriverCall:
    """One call that is being answered, with everything that the parts of a draft look at. `responses`: its response files."""

    call: Call
    probe: Probe
    command: DriverCommand
    facts: Facts
    env: Mapping[bytes, bytes]
    responses: Sequence[bytes]


class ProbeMemory:
    """What is remembered for one probe, as long as its tools are the same (`World.epoch`)."""

    def __init__(self, probe: Probe, epoch: int) -> None:
        self.probe = probe
        self.epoch = epoch
        self.search_paths = SearchPaths(probe)
        self.environments = Environments(probe)
        self.accepted = Accepted()
        self.facts: dict[object, Facts] = {}


class Drafting:
    """One draft in the making. MustRunReal where the call must run for real."""

    def __init__(self, driven: DriverCall, memory: ProbeMemory, tools: Toolchain) -> None:
        self._call = driven.call
        self._probe = driven.probe
        self._command = command = driven.command
        self._facts = driven.facts
        self._memory = memory
        self._toolchain = tools
        self._env = memory.environments.of(driven.call, driven.env, whole_path=driven.facts.is_script)
        self._inputs = [*driven.responses, *command.inputs, *specs_read(command, driven.call, driven.probe)]
        self._inputs += (*command.plugins, *command.precompiled)
        self._outputs: dict[bytes, Writes] = {}
        self._directories: dict[bytes, None] = {}
        self._rule: Depfile | None = None
        precompiles = bool(command.sources) and all(source.language.header for source in command.sources)
        self._links = command.stage is Stage.LINK and not precompiles

    def draft(self) -> Draft:
        """The draft, once; `check_call` comes before."""
        command, call, probe, facts = self._command, self._call, self._probe, self._facts
        check_counts(command, self._env[b"PWD"], probe)
        assembler = self._add_outputs()
        scans = self._scans(assembler.directories)
        optional = [
            *precompiled_headers(command, [scan.search for scan in scans], call.cwd, probe),
            *profiles(command, call.cwd, self._env[b"PWD"], probe, facts.version),
        ]
        if command.native:
            self._add_native()
        if command.real:
            raise MustRunReal(command.real)
        return Draft(
            model=VERSION,
            work=_work(command, self._links),
            argv=call.argv,
            program=call.tool.path,
            env=self._env,
            inputs=tuple(dict.fromkeys((*(source.path for source in command.sources), *self._inputs))),
            outputs=tuple(self._outputs.values()),
            tools=self._tools(),
            optional_inputs=tuple(optional),
            directories=tuple(self._directories),
            scans=tuple(scans),
            depfile=self._rule,
        )

    def _add_outputs(self) -> ForAssembler:
        """All that the call writes, the main output first; what the assembler is told."""
        command = self._command
        if self._links:
            self._link()
        else:
            for source in command.sources:
                self._outputs.setdefault(path := main_output(command, source, self._facts.version), Writes(path))
        written = depfile(command)
        assembler = for_assembler(command)
        if not self._outputs.keys().isdisjoint(assembler.listings):
            raise MustRunReal("two outputs in one file")
        for path in (*beside(command, self._facts.version), *assembler.listings):
            self._outputs.setdefault(path, Writes(path))
        if written is not None:
            if self._rule is not None:
                raise MustRunReal("two dependency files")
            self._rule = written
            if written.path in self._outputs:
                raise MustRunReal("two outputs in one file")
            self._outputs[written.path] = Writes(written.path, soft=True)
        return assembler

    def _link(self) -> None:
        """What the link reads and writes, and the rule of the linker's own --dependency-file."""
        line = self._facts.link_line(tuple(self._command.link_flags), self._call.cwd)
        if line is None:
            raise MustRunReal("the compiler does not tell how it links with these options")
        linked = resolve_link(self._command, line, self._call, self._probe, self._env, self._toolchain.output)
        if linked.run_real:
            raise MustRunReal(linked.run_real, probe=linked.probe)
        self._inputs += linked.inputs
        self._outputs.update((write.path, write) for write in linked.outputs)
        self._directories.update(dict.fromkeys(linked.directories))
        self._rule = linked.depfile

    def _scans(self, assembler_dirs: tuple[bytes, ...]) -> list[Scan]:
        """One scan for all the sources of one language."""
        groups: dict[tuple[Lexer, str], list[SourceFile]] = {}
        for source in self._command.sources:
            if source.language.lexer is not None:
                groups.setdefault((source.language.lexer, source.language.front), []).append(source)
        return [
            self._scan(lexer, front, tuple([source.path for source in sources]), assembler_dirs)
            for (lexer, front), sources in groups.items()
        ]

    def _scan(self, lexer: Lexer, front: str, paths: tuple[bytes, ...], assembler_dirs: tuple[bytes, ...]) -> Scan:
        command = self._command
        if lexer is Lexer.GAS:
            dirs = (b".", *command.include, *assembler_dirs)
            self._directories.update(dict.fromkeys(dirs[1:]))
            return Scan(lexer, paths, SearchPath((), dirs, len(dirs)))
        searching = self._memory.search_paths
        headers = searching.of(command, front, self._call, self._facts)
        if headers is None:
            raise MustRunReal("the compiler does not tell its include directories")
        self._directories.update(dict.fromkeys(searching.existing(headers, self._call.cwd)))
        fallback = (self._call.tool.path, *command.kept)
        return Scan(lexer, paths, headers.search, tuple(command.forced), tuple(command.defines), fallback)

    def _tools(self) -> tuple[bytes, ...]:
        """The programs that run, and what they load."""
        command, call = self._command, self._call
        flags = tuple(command.tool_flags)
        chosen = [flag[9:] for flag in command.link_flags if flag.startswith(b"-fuse-ld=")] if self._links else []
        found = self._facts.files(_roles(command, self._links), chosen[-1] if chosen else b"", flags, call.cwd)
        more: list[bytes] = []
        for plugin in command.plugins:
            whole = plugin if plugin.startswith(b"/") else call.cwd + b"/" + plugin
            more += [path for path in self._toolchain.program_files(self._probe, whole, call.env) if path != whole]
        if command.beside.split_dwarf and command.flavour == GCC:
            more += self._objcopy()
        more += self._toolchain.locale_files(self._probe, call.env, call.tool.path, converters=command.converts)
        return (*found, *more) if more else found

    def _objcopy(self) -> tuple[bytes, ...]:
        """GCC cuts the .dwo out of the object with objcopy, which it finds in PATH."""
        for directory in self._call.env.get(b"PATH", b"").split(b":"):
            path = directory + b"/objcopy"
            if path.startswith(b"/") and self._probe.kind(path) is PathKind.FILE:
                return self._toolchain.program_files(self._probe, path, self._call.env)
        raise MustRunReal("objcopy, which -gsplit-dwarf needs, is not found")

    def _add_native(self) -> None:
        """Note in the environment what `native` means on this machine, and how a compiler on another machine is told so."""
        from gg.models.driver.this_cpu import elsewhere

        meaning = self._facts.expand_native(tuple(word for word in self._command.kept if word.startswith(b"-m")))
        if meaning is None:
            raise MustRunReal("the compiler does not tell what -march=native means")
        self._env[b"GG_NATIVE"] = b" ".join(meaning)
        how = elsewhere(self._command, self._call.argv, self._facts.target, meaning)
        if how:
            self._env[b"GG_ELSEWHERE"] = how


def check_call(driven: DriverCall, memory: ProbeMemory) -> None:
    """Raises MustRunReal if something forbids to model this call, or if the compiler does not accept its options."""
    check(driven.command, driven.call, driven.probe)
    memory.accepted.check(driven.command, driven.facts, driven.call.cwd)


def _roles(command: DriverCommand, links: bool) -> frozenset[Role]:
    roles: set[Role] = set()
    assembles = command.stage in (Stage.OBJECT, Stage.LINK)
    for source in command.sources:
        language = source.language
        if language.compiled:
            roles.add(_ROLES[language.front])
        elif language.preprocessed:
            roles.add("asm-cpp")
        if assembles and not language.header and (command.flavour == GCC or not command.integrated_as):
            roles.add("as")
    if command.preprocess:
        roles.add("preprocess")
    if links:
        roles.add("link")
        if command.lto:
            roles.add("lto")
    return frozenset(roles)


def _work(command: DriverCommand, links: bool) -> Work:
    if links:
        return Work.LINK
    if command.preprocess:
        return Work.PREPROCESS
    if all(not source.language.compiled for source in command.sources):
        return Work.ASSEMBLE
    return Work.COMPILE
