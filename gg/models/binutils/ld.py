"""The linkers called by themselves: ld, ld.bfd, ld.gold, ld.lld, mold."""

from __future__ import annotations

from gg.core.thunk import Work
from gg.models.binutils.builtin import default_search_dirs, default_sysroot, flavour_of, makes_windows
from gg.models.binutils.common import VERSION, environment, is_trial, question_env, text, tools, trial
from gg.models.binutils.link_search import resolve
from gg.models.drafts import Call, Draft, ModelAnswer, Probe, RunReal

# What the linkers read of the environment beside what all the tools do: LD_RUN_PATH stands in for -rpath, LDEMULATION
# for -m; COLLECT_… and COMPILER_PATH are for the compiler that the LTO plugin starts.
_KEPT = (b"LD_RUN_PATH", b"LDEMULATION", b"COLLECT_NO_DEMANGLE", b"COLLECT_GCC", b"COLLECT_GCC_OPTIONS")


def ld(call: Call, probe: Probe) -> ModelAnswer:
    """The model of a linker; its family is told by the name of the file that really runs."""
    flavour = linker_flavour(call, probe)
    linker = call.tool.path
    emulation = _emulation(call)
    if emulation and probe.run((linker, b"-m", emulation, b"--version"), question_env(linker, call.env)).status:
        return RunReal(f"the linker does not know -m {text(emulation)}")
    linked = resolve(
        call.argv[1:],
        cwd=call.cwd,
        search_dirs=default_search_dirs(probe, linker, call.env, emulation, flavour),
        sysroot=default_sysroot(probe, linker, call.env, flavour),
        probe=probe,
        flavour=flavour,
        env=call.env,
        windows=makes_windows(probe, linker, call.env, emulation, flavour),
    )
    if linked.run_real:
        return RunReal(linked.run_real, probe=linked.probe)
    paths = (*(output.path for output in linked.outputs), *linked.inputs)
    if is_trial(paths, call):
        return trial(linked.inputs)
    return Draft(
        model=f"ld/{VERSION}",
        work=Work.LINK,
        argv=call.argv,
        program=linker,
        env=environment(call, _KEPT),
        inputs=linked.inputs,
        outputs=linked.outputs,
        tools=tools(call, probe),
        optional_inputs=linked.optional_inputs,
        directories=linked.directories,
        depfile=linked.depfile,
    )


def linker_flavour(call: Call, probe: Probe) -> str:
    """`ld` may be a link to any of them; a name that says which one is believed."""
    named = flavour_of(call.tool.name.encode())
    return named if named != "bfd" else flavour_of(probe.realpath(call.tool.path))


def _emulation(call: Call) -> bytes:
    """The operand of the last -m: the built-in directories depend on it."""
    found = call.env.get(b"LDEMULATION", b"")
    for at, arg in enumerate(call.argv):
        if arg == b"-m" and at + 1 < len(call.argv):
            found = call.argv[at + 1]
        elif arg.startswith((b"-melf", b"-mi386")):
            found = arg[2:]
    return found
