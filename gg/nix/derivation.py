"""Derivations as nix keeps them: what a `.drv` file says, and what a builder learns of it.

The file is an ATerm: `Derive([outputs],[inputs],[sources],system,builder,[args],[env])`. Strings have `\\n`, `\\r`, `\\t` and
a backslash before any other character.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gg.errors import FormatError
from gg.formats.nar import base32

_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|([\[\](),])|([A-Za-z]+)', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivationOutput:
    """One output. `path` is empty if it depends on what is built; `hash` is set if it was fixed beforehand."""

    path: str
    method: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """A derivation. `inputs`: derivations, each with its outputs that are wanted; `sources`: store paths."""

    outputs: Mapping[str, DerivationOutput]
    inputs: Mapping[str, tuple[str, ...]]
    sources: tuple[str, ...]
    system: str
    builder: str
    args: tuple[str, ...]
    env: Mapping[str, str]

    @property
    def is_fixed(self) -> bool:
        """Whether the hash of its output is known beforehand, so that it may use the network."""
        return any(output.hash for output in self.outputs.values())

    @property
    def is_floating(self) -> bool:
        """Whether the paths of its outputs are known only after it was built."""
        return any(not output.path for output in self.outputs.values())


def read(path: str) -> Derivation:
    """The derivation in a file. FormatError if the file is none."""
    with open(path, "rb") as file:
        return parse(file.read())


def parse(text: bytes) -> Derivation:
    """The derivation in an ATerm. FormatError if the text is none."""
    tokens = _tokens(text)
    try:
        if next(tokens) != ("name", "Derive") or next(tokens) != ("mark", "("):
            raise ValueError("it does not begin as one")
        outputs, inputs, sources, system, builder, args, env = _list(tokens, ")")
        return Derivation(
            outputs={
                name: DerivationOutput(path=path, method=method, hash=digest) for name, path, method, digest in outputs
            },
            inputs={name: tuple(wanted) for name, wanted in inputs},
            sources=tuple(sources),
            system=str(system),
            builder=str(builder),
            args=tuple(args),
            env=dict(env),
        )
    except (ValueError, TypeError, StopIteration, RecursionError) as error:
        raise FormatError(f"not a derivation: {error}") from error


def _tokens(text: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"byte {at} is out of place")
        at = found.end()
        if found[1] is not None:
            plain = _ESCAPED.sub(lambda each: _MEANS.get(each[1], each[1]), found[1])
            yield "string", os.fsdecode(plain)
        elif found[2] is not None:
            yield "mark", found[2].decode()
        else:
            yield "name", found[3].decode()


def _list(tokens: Iterator[tuple[str, str]], end: str) -> list[Any]:
    """Terms up to `end`; lists and tuples alike come as lists."""
    found: list[Any] = []
    for kind, text in tokens:
        if kind == "string":
            found.append(text)
        elif text == end:
            return found
        elif text in "[(":
            found.append(_list(tokens, "]" if text == "[" else ")"))
        elif text != ",":
            raise ValueError(f"{text} is out of place")
    raise ValueError("it ends too early")


def environment(derivation: Derivation, *, build: str, cores: int) -> tuple[dict[str, str], dict[str, str]]:
    """What nix gives the builder: its environment, and files to write into `build`, the directory that it begins in."""
    env = {
        "PATH": "/path-not-set",
        "HOME": "/homeless-shelter",
        "NIX_STORE": "/nix/store",
        "NIX_BUILD_CORES": str(cores),
    }
    files: dict[str, str] = {}
    as_file = set(derivation.env.get("passAsFile", "").split())
    for name, value in derivation.env.items():
        if name in as_file:
            file = ".attr-" + base32(hashlib.sha256(name.encode()).digest())
            files[file] = value
            env[name + "Path"] = f"{build}/{file}"
        else:
            env[name] = value
    env |= dict.fromkeys(("NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"), build)
    return env | {"NIX_LOG_FD": "2", "TERM": "xterm-256color"}, files
