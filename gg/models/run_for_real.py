"""Tools that are known and not modelled: they run for real, once what they read is forced. The reasons:

gfortran reads and writes module files whose names only the compiler can tell, from `use` and `module` lines that may
come out of its preprocessor; windres has a compiler preprocess its source, and looks for icons, message tables and
other resources in ways of its own.
"""

from __future__ import annotations

from gg.models.drafts import Call, Model, ModelAnswer, Probe, RunReal


def fortran(call: Call, probe: Probe) -> ModelAnswer:
    """The answer for gfortran. Libraries of the build that -l means are read too."""
    from gg.models.driver.flags import GCC
    from gg.models.driver.parse import parse
    from gg.models.driver.refusals import MustRunReal, question, run_real

    command = parse(call.argv[1:], GCC)
    asked = question(command, call)
    why = asked or MustRunReal("Fortran: what modules a source makes and uses only the compiler knows")
    return run_real(why, command, call, probe)


def windres(call: Call, probe: Probe) -> ModelAnswer:
    """The answer for windres."""
    asks = any(word in (b"--version", b"-V", b"--help", b"-h") for word in call.argv)
    return RunReal("asks for help or the version" if asks else "resources are in files that no scan finds", probe=asks)


MODELS: dict[str, Model] = {"gfortran": fortran, "f77": fortran, "f95": fortran, "windres": windres}
