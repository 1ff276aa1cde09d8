"""When a call runs for real: it only asks, it is a trial, or it does what no model covers."""

from __future__ import annotations

from gg.models.drafts import Call, PathKind, Probe, RunReal
from gg.models.driver.command import DriverCommand, Stage, text
from gg.models.driver.trial import is_trial
from gg.models.driver.variables import HELPERS


class MustRunReal(Exception):
    """The call runs for real; the text says why."""

    def __init__(self, why: str, *, probe: bool = False) -> None:
        super().__init__(why)
        self.probe = probe


def question(command: DriverCommand, call: Call) -> MustRunReal | None:
    """Calls that only ask, told from the command line alone."""
    if command.question:
        return MustRunReal(f"asks: {command.question}", probe=True)
    if command.stdin:
        return MustRunReal("reads standard input", probe=True)
    if not command.sources and not command.objects:
        if command.link_words:
            return None
        return MustRunReal("no input files", probe=True)
    if command.output == b"-" or command.output.startswith(b"/dev/"):
        return MustRunReal("the output is no file", probe=True)
    if command.preprocess and not command.output:
        return MustRunReal("preprocesses to standard output", probe=True)
    paths = [source.path for source in command.sources]
    if any(path.startswith(b"/dev/") for path in paths):
        return MustRunReal("the source is no file", probe=True)
    tmpdir = call.env.get(b"TMPDIR", b"")
    if is_trial((*paths, *command.objects, command.output), call.cwd, tmpdir):
        return MustRunReal("a configure step's trial", probe=True)
    return None


def run_real(why: MustRunReal, command: DriverCommand, call: Call, probe: Probe) -> RunReal:
    """The answer for a refused call. Its `reads` are the placeholders that -l would find, for no argument names them."""
    libraries = [word[2:] for word in command.link_words if word.startswith(b"-l")]
    found = []
    for directory in command.library_dirs if libraries else ():
        for name in libraries:
            for path in (directory + b"/lib" + name + b".so", directory + b"/lib" + name + b".a"):
                if probe.is_placeholder(path if path.startswith(b"/") else call.cwd + b"/" + path):
                    found.append(path)
    return RunReal(str(why), reads=tuple(found), probe=why.probe)


def check(command: DriverCommand, call: Call, probe: Probe) -> None:
    """Raises MustRunReal if something forbids to model a call that does real work."""
    if command.real or command.verbose:
        raise MustRunReal(command.real or "-v prints how it works")
    stage = command.stage
    if stage is not Stage.LINK:
        if command.objects:
            raise MustRunReal("files for the linker, and no link")
        if not command.sources:
            raise MustRunReal("no input files")
        _check_stage(command, stage)
    elif any(source.language.header for source in command.sources) and (
        command.objects or len({source.language.header for source in command.sources}) > 1
    ):
        raise MustRunReal("a header among what is linked")
    elif command.output and len(command.sources) > 1 and command.sources[0].language.header:
        raise MustRunReal("one output for several headers")
    if command.emit_llvm and stage is Stage.LINK:
        raise MustRunReal("-emit-llvm of a link")
    for path in (*(source.path for source in command.sources), *command.plugins):
        if probe.kind(path if path.startswith(b"/") else call.cwd + b"/" + path) is not PathKind.FILE:
            raise MustRunReal("a source that is not there")
    _check_tool_dirs(command, call, probe)
    if any(b"=" in flag and b"-fuse-ld" in flag and b"/" in flag for flag in command.link_flags):
        raise MustRunReal("a linker by its path")


def specs_read(command: DriverCommand, call: Call, probe: Probe) -> list[bytes]:
    """The files of -specs= that are there; others the compiler has itself."""
    found = [path if path.startswith(b"/") else call.cwd + b"/" + path for path in command.specs]
    return [path for path, full in zip(command.specs, found, strict=True) if probe.kind(full) is PathKind.FILE]


def _check_stage(command: DriverCommand, stage: Stage) -> None:
    """What a driver that stops before the link makes of each source."""
    if command.output and len(command.sources) > 1:
        raise MustRunReal("one output for several sources")
    if stage is Stage.PREPROCESS and not all(source.language.preprocessed for source in command.sources):
        raise MustRunReal("preprocesses what needs no preprocessing")
    if stage is Stage.ASSEMBLY and not all(source.language.compiled for source in command.sources):
        raise MustRunReal("compiles assembly to assembly")
    if command.emit_pch and not command.output:
        raise MustRunReal("-emit-pch without -o")


def _check_tool_dirs(command: DriverCommand, call: Call, probe: Probe) -> None:
    """Refuse a relative -B directory that has programs in it: what it means depends on where the call is made."""
    for directory in command.tool_dirs:
        if directory.startswith(b"/"):
            continue
        for name in (*HELPERS, b"cc1", b"cc1plus"):
            for path in (directory + name, directory + b"/" + name):
                if probe.kind(call.cwd + b"/" + path) is PathKind.FILE:
                    raise MustRunReal(f"{text(name)} in a -B directory")
