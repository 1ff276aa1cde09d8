"""What is learnt of programs and compilers through one probe, and remembered with it."""

from __future__ import annotations

from collections.abc import Mapping

from gg.models.drafts import Probe
from gg.models.toolchain.compiler import CompilerFacts
from gg.models.toolchain.programs import ProbedMachine
from gg.models.toolchain.view import question_env

_MEMORY = "_gg_toolchain"  # the attribute of a probe that holds its Machine: it goes when the probe goes


def machine(probe: Probe) -> ProbedMachine:
    """What is remembered for this probe object while it lives. A probe that takes no attributes is given a new memory each time."""
    known = getattr(probe, _MEMORY, None)
    if isinstance(known, ProbedMachine):
        return known
    fresh = ProbedMachine(probe, compiler_facts)
    try:
        setattr(probe, _MEMORY, fresh)
    except AttributeError:
        pass
    return fresh


def forget(probe: Probe) -> None:
    """Forget all that was learnt of tools through this probe. Called when a tool has been replaced."""
    probe.__dict__.pop(_MEMORY, None)


def program_files(
    probe: Probe, program: bytes, env: Mapping[bytes, bytes] | None = None, *, plugins: bool = True
) -> tuple[bytes, ...]:
    """The files that run or are loaded when `program` (absolute) is started: itself, loader, libraries, plugins.

    For a script: its interpreter, what that needs, and the files that its text names by an absolute path. Empty when
    there is no such file. `env` gives PATH (for `#!/usr/bin/env`) and LD_LIBRARY_PATH. Links are not followed.
    `plugins` is false for an archiver that is told which plugin to load.
    """
    return machine(probe).program_files(program, question_env(env), plugins=plugins)


def facts(probe: Probe, program: bytes, env: Mapping[bytes, bytes] | None = None) -> CompilerFacts:
    """What is known of the compiler driver `program` (absolute, no masquerade) under `env`; asks nothing yet.

    The variables of `env` that can matter to a toolchain count: PATH (which must not lead to shims), COMPILER_PATH,
    LIBRARY_PATH, GCC_EXEC_PREFIX, LD_LIBRARY_PATH, those that nix's wrappers read. CPATH and its kin do not count here: the
    model looks at them.
    """
    return compiler_facts(machine(probe), program, question_env(env))


def compiler_facts(known: ProbedMachine, program: bytes, asked: Mapping[bytes, bytes]) -> CompilerFacts:
    """The same as `facts`, for a caller that has the probe's memory and the reduced environment already."""
    key = (program, tuple(sorted(asked.items())))
    found = known.compilers.get(key)
    if not isinstance(found, CompilerFacts):
        found = known.compilers[key] = CompilerFacts(known, program, asked)
    return found
