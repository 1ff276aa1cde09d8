"""The model of the compiler drivers: gcc, g++, cc, c++, c89, c99, cpp, clang, clang++.

One call is answered in three steps. The command line is taken apart (`parse`). What settles that it runs for real is
looked at: a question, a trial, a source that is not there, an option that nobody modelled. Then the draft is put
together from parts that each know one thing: outputs, the dependency file, headers, the link.

-march=native and its kin stay in argv. The processor's options written out in their place give the same code, but GCC
hands each --param on at another place then, and DW_AT_producer, -frecord-gcc-switches and LTO sections record that. So
the meaning goes into the environment, as GG_NATIVE, where it is part of the thunk's identity; and as GG_ELSEWHERE, where
there is one, how a compiler on another machine is told of it (`native`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gg.core.thunk import Work
from gg.light.regex import regex
from gg.light.slotted import slotted
from gg.models.binutils.common import expand
from gg.models.binutils.options import Unmodelled
from gg.models.drafts import Answer, Call, Depfile, Draft, Lexer, PathKind, Probe, RunReal, Scan, SearchPath, Writes
from gg.models.driver.accepted import Accepted
from gg.models.driver.assembler import for_assembler
from gg.models.driver.command import Command, Source, Stage
from gg.models.driver.dependencies import depfile
from gg.models.driver.flags import CLANG, GCC
from gg.models.driver.link import resolve_link
from gg.models.driver.naming import beside, main_output
from gg.models.driver.parse import parse
from gg.models.driver.precompiled import precompiled_headers
from gg.models.driver.profile import profiles
from gg.models.driver.refusals import Refused, check, question, run_real
from gg.models.driver.searchpath import SearchPaths
from gg.models.driver.toolchain_facts import Facts, Role, Toolchain
from gg.models.driver.variables import Environments, kept, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "gcc/1"

_WINDOWS = regex(rb"mingw|cygwin|msys")

_ROLES: dict[str, Role] = {"c": "c", "c++": "c++", "objc": "objc", "objc++": "objc++", "ir": "c"}


@slotted(frozen=False)
class _Job:
    """One call that is being answered, with all that its parts look at."""

    call: Call
    probe: Probe
    command: Command
    facts: Facts
    env: Mapping[bytes, bytes]
    responses: Sequence[bytes]


class _Session:
    """What is remembered for one probe, as long as its tools are the same (`World.epoch`)."""

    def __init__(self, probe: Probe, epoch: int) -> None:
        self.probe = probe
        self.epoch = epoch
        self.search_paths = SearchPaths(probe)
        self.environments = Environments(probe)
        self.accepted = Accepted()
        self.facts: dict[object, Facts] = {}


class DriverModel:
    """The model. It remembers what it learnt of the probe that it last met: there is one a session."""

    def __init__(self, toolchain: Toolchain | None = None) -> None:
        self._toolchain = toolchain
        self._session: _Session | None = None

    def __call__(self, call: Call, probe: Probe) -> Answer:
        why = refusal(call, probe)
        if why:
            return RunReal(why)
        try:
            args, responses = expand(call.argv[1:], call.cwd, probe)
        except Unmodelled as reason:
            return RunReal(str(reason))
        return self._answer(call, probe, args, responses)

    def _answer(self, call: Call, probe: Probe, args: Sequence[bytes], responses: Sequence[bytes]) -> Answer:
        name = call.tool.name
        cplusplus, cpp = name in ("g++", "c++", "clang++"), name in ("cpp", "clang-cpp")
        # What needs no facts comes first: a question is answered without asking the compiler another one.
        command = parse(args, CLANG if name.startswith("clang") else GCC, cplusplus=cplusplus, cpp=cpp)
        asked = question(command, call)
        if asked is not None:
            return run_real(asked, command, call, probe)
        env = kept(call.env)
        facts = self._facts(call, env, probe)
        if facts.flavour not in (GCC, CLANG):
            return RunReal("neither GCC nor clang")
        if facts.flavour != command.flavour:
            command = parse(args, facts.flavour, cplusplus=cplusplus, cpp=cpp)
        command.windows = _WINDOWS.search(facts.target) is not None and facts.flavour == GCC
        try:
            return self._draft(_Job(call, probe, command, facts, env, responses))
        except Refused as reason:
            return run_real(reason, command, call, probe)

    def _facts(self, call: Call, env: Mapping[bytes, bytes], probe: Probe) -> Facts:
        """The facts of the called program, remembered by what the environments of thunks keep, and PATH."""
        session = self._session_of(probe)
        key = (call.tool.path, call.env.get(b"PATH"), tuple(env.items()))
        found = session.facts.get(key)
        if found is None:
            found = session.facts[key] = self._tools.facts(probe, call.tool.path, call.env)
        return found

    @property
    def _tools(self) -> Toolchain:
        if self._toolchain is None:
            from gg.models.driver.real_toolchain import RealToolchain

            self._toolchain = RealToolchain()
        return self._toolchain

    def _session_of(self, probe: Probe) -> _Session:
        epoch = getattr(probe, "epoch", 0)
        if self._session is None or self._session.probe is not probe or self._session.epoch != epoch:
            self._session = _Session(probe, epoch)
        return self._session

    def _draft(self, job: _Job) -> Draft:
        command, call, probe = job.command, job.call, job.probe
        check(command, call, probe)
        self._session_of(probe).accepted.check(command, job.facts, call.cwd)
        stage = command.stage
        outputs: dict[bytes, Writes] = {}
        inputs = [*job.responses, *command.inputs, *command.plugins, *command.precompiled]
        directories: dict[bytes, None] = {}
        env = self._session_of(probe).environments.of(call, job.env, whole_path=job.facts.is_script)
        rule: Depfile | None = None
        precompiles = bool(command.sources) and all(source.language.header for source in command.sources)
        links = stage is Stage.LINK and not precompiles
        if links:
            rule = self._link(job, env, inputs, outputs, directories)
        else:
            for source in command.sources:
                outputs.setdefault(path := main_output(command, source), Writes(path))
        written = depfile(command)
        assembler = for_assembler(command)
        if not outputs.keys().isdisjoint(assembler.listings):
            raise Refused("two outputs in one file")
        for path in (*beside(command, job.facts.version), *assembler.listings):
            outputs.setdefault(path, Writes(path))
        if written is not None:
            if rule is not None:
                raise Refused("two dependency files")
            rule = written
            if written.path in outputs:
                raise Refused("two outputs in one file")
            outputs[written.path] = Writes(written.path, soft=True)
        scans = self._scans(job, assembler.directories, directories)
        optional = [
            *precompiled_headers(command, [scan.search for scan in scans], call.cwd, probe),
            *profiles(command, call.cwd, env[b"PWD"], probe, job.facts.version),
        ]
        if command.native:
            _native(job, env)
        if command.real:
            raise Refused(command.real)
        return Draft(
            model=VERSION,
            work=_work(command, links),
            argv=call.argv,
            program=call.tool.path,
            env=env,
            inputs=tuple(dict.fromkeys((*(source.path for source in command.sources), *inputs))),
            outputs=tuple(outputs.values()),
            tools=self._files(job, links),
            optional_inputs=tuple(optional),
            directories=tuple(directories),
            scans=tuple(scans),
            depfile=rule,
        )

    def _link(
        self,
        job: _Job,
        env: dict[bytes, bytes],
        inputs: list[bytes],
        outputs: dict[bytes, Writes],
        directories: dict[bytes, None],
    ) -> Depfile | None:
        """Add what the link reads and writes; the rule of the linker's own --dependency-file."""
        flags = tuple(job.command.link_flags)
        line = job.facts.link_line(flags, job.call.cwd)
        if line is None:
            raise Refused("the compiler does not tell how it links with these options")
        linked = resolve_link(job.command, line, job.call, job.probe, env, self._tools.output)
        if linked.run_real:
            raise Refused(linked.run_real, probe=linked.probe)
        inputs += linked.inputs
        outputs.update((write.path, write) for write in linked.outputs)
        directories.update(dict.fromkeys(linked.directories))
        return linked.depfile

    def _scans(self, job: _Job, assembler_dirs: tuple[bytes, ...], directories: dict[bytes, None]) -> list[Scan]:
        """One scan for all the sources of one language."""
        command = job.command
        groups: dict[tuple[Lexer, str], list[Source]] = {}
        for source in command.sources:
            if source.language.lexer is not None:
                groups.setdefault((source.language.lexer, source.language.front), []).append(source)
        scans = []
        for (lexer, front), sources in groups.items():
            paths = tuple(source.path for source in sources)
            if lexer is Lexer.GAS:
                dirs = (b".", *command.include, *assembler_dirs)
                directories.update(dict.fromkeys(dirs[1:]))
                scans.append(Scan(lexer, paths, SearchPath((), dirs, len(dirs))))
                continue
            searching = self._session_of(job.probe).search_paths
            headers = searching.of(command, front, job.call, job.facts)
            if headers is None:
                raise Refused("the compiler does not tell its include directories")
            directories.update(dict.fromkeys(searching.existing(headers, job.call.cwd)))
            fallback = (job.call.tool.path, *command.kept, b"-M")
            forced, defines = tuple(command.forced), tuple(command.defines)
            scans.append(Scan(lexer, paths, headers.search, forced, defines, fallback))
        return scans

    def _files(self, job: _Job, links: bool) -> tuple[bytes, ...]:
        """The programs that run, and what they load."""
        command, call = job.command, job.call
        flags = tuple(command.tool_flags)
        chosen = [flag[9:] for flag in command.link_flags if flag.startswith(b"-fuse-ld=")] if links else []
        found = job.facts.files(_roles(command, links), chosen[-1] if chosen else b"", flags, call.cwd)
        more: list[bytes] = []
        for plugin in command.plugins:
            whole = plugin if plugin.startswith(b"/") else call.cwd + b"/" + plugin
            more += [path for path in self._tools.program_files(job.probe, whole, call.env) if path != whole]
        if command.beside.split_dwarf and command.flavour == GCC:
            more += self._objcopy(job)
        more += self._tools.locale_files(job.probe, call.env, call.tool.path, converters=command.converts)
        return (*found, *more) if more else found

    def _objcopy(self, job: _Job) -> tuple[bytes, ...]:
        """GCC cuts the .dwo out of the object with objcopy, which it finds in PATH."""
        for directory in job.call.env.get(b"PATH", b"").split(b":"):
            path = directory + b"/objcopy"
            if path.startswith(b"/") and job.probe.kind(path) is PathKind.FILE:
                return self._tools.program_files(job.probe, path, job.call.env)
        raise Refused("objcopy, which -gsplit-dwarf needs, is not found")


def _native(job: _Job, env: dict[bytes, bytes]) -> None:
    """Note what the options with `native` mean on this machine, in one line, and how to have that on another."""
    from gg.models.driver.this_cpu import elsewhere

    flags = tuple(word for word in job.command.kept if word.startswith(b"-m"))
    meaning = job.facts.expand_native(flags)
    if meaning is None:
        raise Refused("the compiler does not tell what -march=native means")
    env[b"GG_NATIVE"] = b" ".join(meaning)
    how = elsewhere(job.command, job.call.argv, job.facts.target, meaning)
    if how:
        env[b"GG_ELSEWHERE"] = how


def _roles(command: Command, links: bool) -> frozenset[Role]:
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


def _work(command: Command, links: bool) -> Work:
    if links:
        return Work.LINK
    if command.preprocess:
        return Work.PREPROCESS
    if all(not source.language.compiled for source in command.sources):
        return Work.ASSEMBLE
    return Work.COMPILE


__all__ = ["VERSION", "DriverModel", "Facts", "Toolchain"]
