"""The Python runtimes that Lambda offers, and which wheels run on them.

Source: AWS's documentation, "Lambda runtimes" (docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html), its table of
supported runtimes as others quoted it on 2026-07-25 and 2026-10-06: 3.14 and 3.13 until June 2029, 3.12 until October 2028
(Amazon Linux 2023), 3.11 until June 2027 (Amazon Linux 2); 3.10's support ended in October 2026, and 3.15 is a preview.
All are there for both architectures. The C library is that of the runtime's Amazon Linux: 2.26 in 2, 2.34 in 2023.
"""

from __future__ import annotations

from typing import NamedTuple

from gg.errors import UsageError


class Runtime(NamedTuple):
    """A runtime: its name, Python's version, and the newest minor version of glibc 2 that a wheel may ask for."""

    name: str
    python: tuple[int, int]
    glibc: int


OFFERED = (
    Runtime("python3.14", (3, 14), 34),
    Runtime("python3.13", (3, 13), 34),
    Runtime("python3.12", (3, 12), 34),
    Runtime("python3.11", (3, 11), 26),
)
# What machines call themselves, and what Lambda calls them.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_WHEELS = {"x86_64": "x86_64", "arm64": "aarch64"}
_MANYLINUX = (17, 24, 26, 27, 28, 31, 34)


def choose(name: str, python: tuple[int, int]) -> Runtime:
    """The runtime of that name; without a name the one for this `python`, or the newest. UsageError for an unknown name."""
    if name:
        found = [runtime for runtime in OFFERED if runtime.name == name]
        if not found:
            raise UsageError(
                f"Lambda has no runtime {name!r} that gg's worker runs on",
                hint=f"one of {', '.join(r.name for r in OFFERED)}",
            )
        return found[0]
    return next((runtime for runtime in OFFERED if runtime.python == python), OFFERED[0])


def choose_architecture(wanted: str, machine: str) -> str:
    """Lambda's name for the architecture. UsageError if it is not this machine's."""
    here = ARCHITECTURES.get(machine)
    if here is None:
        raise UsageError(f"Lambda has no {machine} machines", hint="record on x86_64 or aarch64, or force locally")
    if wanted and wanted not in ARCHITECTURES:
        raise UsageError(f"{wanted!r} is no architecture of Lambda", hint="x86_64 or arm64")
    if wanted and ARCHITECTURES[wanted] != here:
        raise UsageError(
            f"functions on {ARCHITECTURES[wanted]} cannot run the compilers of this {here} machine",
            hint="the tools that were recorded travel to the function as they are; leave --arch away",
        )
    return here


def platforms(runtime: Runtime, architecture: str) -> tuple[str, ...]:
    """The platform tags of wheels that run there, the newest first."""
    machine = _WHEELS[architecture]
    fit = [minor for minor in reversed(_MANYLINUX) if minor <= runtime.glibc]
    return (*(f"manylinux_2_{minor}_{machine}" for minor in fit), f"manylinux2014_{machine}")
