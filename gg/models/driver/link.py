"""The link inside a driver's command: puts the driver's own words around the user's and has the linker's model resolve them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gg.light.slotted import replace
from gg.models.drafts import Call, Probe
from gg.models.driver.command import DriverCommand
from gg.models.driver.naming import program_output
from gg.models.linking.entry import Linked, default_search_dirs, default_sysroot, flavour_of, makes_windows, resolve

# Stands for the objects that the driver makes of its own sources, so that the resolver sees something to link.
_OWN_OBJECT = b"gg-own-object.o"


class LinkerLine(Protocol):
    """What is used of the toolchain's `LinkLine`."""

    @property
    def linker(self) -> bytes: ...
    @property
    def before(self) -> tuple[bytes, ...]: ...
    @property
    def after(self) -> tuple[bytes, ...]: ...
    @property
    def emulation(self) -> bytes: ...


def resolve_link(
    command: DriverCommand, line: LinkerLine, call: Call, probe: Probe, env: Mapping[bytes, bytes], placeholder: bytes
) -> Linked:
    """What the link reads and writes. `placeholder` is the output's name in `line`."""
    output = program_output(command)
    named = (placeholder, placeholder + b".exe")
    own = [output if word in named else word for word in line.before]
    after = [output if word in named else word for word in line.after]
    users = [b"-L" + directory for directory in command.library_dirs]
    objects = [_OWN_OBJECT] * bool(command.sources)
    args = [*users, *own, *objects, *command.link_words, *after]
    linked = resolve(
        args,
        cwd=call.cwd,
        search_dirs=default_search_dirs(probe, line.linker, env, line.emulation),
        sysroot=default_sysroot(probe, line.linker, env),
        probe=probe,
        flavour=flavour_of(line.linker),
        env=env,
        windows=makes_windows(probe, line.linker, env, line.emulation),
    )
    return replace(linked, inputs=tuple(path for path in linked.inputs if path != _OWN_OBJECT))
