"""A graph of thunks as a build.ninja that makes the same files in the same places by plain commands.

What a step reads is what it was seen to read, where that is known, else all that it declares. Steps that change a file
which another has made (strip, ranlib) are one statement with it, for to ninja a file is made once.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence

from gg.core.ids import SandboxPath
from gg.core.thunk import File, OutputOf
from gg.export.steps import CannotExport, Step, StepGraph

_HEAD = """\
# Written by gg export ninja: the commands that the build ran, with what each reads.
ninja_required_version = 1.5

rule step
  command = $step
  description = $say
"""


def ninja(graph: StepGraph) -> str:
    chains = _chains(graph)
    lines = [_HEAD]
    for chain in chains:
        lines += _statement(graph, chain)
    targets = " ".join(_path(path) for path, _, _ in graph.targets)
    return "\n".join([*lines, f"default {targets}", ""])


def _chains(graph: StepGraph) -> list[list[Step]]:
    """The steps of each statement. One that writes what another has made follows it, if nobody else reads that one's."""
    maker: dict[SandboxPath, list[Step]] = {}
    chains: list[list[Step]] = []
    for step in graph.steps.values():
        before = {id(maker[o.path]): maker[o.path] for o in step.thunk.outputs if o.path in maker and not o.soft}
        if len(before) > 1:
            raise CannotExport(f"{step.name} is made by several commands", hint="gg export nix or json can say that")
        chain = next(iter(before.values()), None)
        if chain is None:
            chain = []
            chains.append(chain)
        else:
            _check_alone(graph, chain, step)
        chain.append(step)
        maker.update((output.path, chain) for output in step.thunk.outputs)
    return chains


def _check_alone(graph: StepGraph, chain: Sequence[Step], last: Step) -> None:
    ids = {step.id for step in chain}
    for other in graph.steps.values():
        if other.id != last.id and other.id not in ids and ids.intersection(other.needs):
            raise CannotExport(
                f"{last.name} is changed by a command after {other.name} has read it",
                hint="gg export nix or json can say that",
            )


def _statement(graph: StepGraph, chain: Sequence[Step]) -> list[str]:
    own = {output.path for step in chain for output in step.thunk.outputs}
    firm = [output.path for step in chain for output in step.thunk.outputs if not (output.soft or output.optional)]
    read = dict.fromkeys(path for step in chain for path in _reads(graph, step) if path not in own)
    explicit = [entry.path for step in chain for entry in step.entries if entry.path in read]
    implicit = [path for path in read if path not in set(explicit)]
    outputs = " ".join(_path(path) for path in dict.fromkeys(firm))
    text = f"build {outputs}: step {' '.join(_path(path) for path in dict.fromkeys(explicit))}"
    if implicit:
        text += f" | {' '.join(map(_path, implicit))}"
    command = " && ".join(_command(step) for step in chain)
    return [
        text,
        f"  step = {_value(command)}",
        f"  say = {_value(f'{chain[-1].thunk.work.value} {chain[-1].name}')}",
        "",
    ]


def _reads(graph: StepGraph, step: Step) -> Iterable[SandboxPath]:
    """Every file it reads, those of other steps included."""
    made = [entry.path for entry in step.entries if isinstance(entry, OutputOf)]
    files = graph.groups.files(step.thunk)
    extra = [entry.path for entry in step.entries if isinstance(entry, File)]
    seen = set(step.reduction.reads) if step.reduction.reads is not None else None
    loaded = [path for path, file in files.items() if seen is None or path in seen or file.executable]
    return [*made, *extra, *loaded]


def _command(step: Step) -> str:
    """The command as a shell takes it, with its own environment and no other."""
    thunk = step.thunk
    env = [os.fsdecode(name + b"=" + value) for name, value in thunk.env]
    words = [os.fsdecode(thunk.program), *(os.fsdecode(word) for word in thunk.argv[1:])]
    return shlex.join(["cd", os.fsdecode(thunk.cwd)]) + " && " + shlex.join(["env", "-i", *env, *words])


def _path(path: bytes) -> str:
    text = os.fsdecode(path)
    if "\n" in text:
        raise CannotExport(f"{text!r} has a line break in its name, which ninja cannot say")
    return text.replace("$", "$$").replace(" ", "$ ").replace(":", "$:").replace("|", "$|")


def _value(text: str) -> str:
    if "\n" in text:
        raise CannotExport("a command has a line break in it, which ninja cannot say", hint="gg export nix or json can")
    return text.replace("$", "$$")
