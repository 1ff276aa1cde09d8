"""What the drivers' models ask of a toolchain, and where they get it from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from gg.models.drafts import Probe
from gg.models.driver.accepted import AcceptFacts
from gg.models.driver.link import LinkerLine
from gg.models.driver.searchpath import HeaderFacts

Role = Literal["c", "c++", "objc", "objc++", "fortran", "asm-cpp", "as", "link", "lto", "preprocess"]


class Facts(HeaderFacts, AcceptFacts, Protocol):
    """What the drivers' models ask of the toolchain (`gg.models.toolchain.CompilerFacts`)."""

    @property
    def flavour(self) -> str: ...
    @property
    def version(self) -> tuple[int, ...]: ...
    @property
    def target(self) -> bytes: ...
    @property
    def is_script(self) -> bool: ...
    def link_line(self, flags: tuple[bytes, ...] = (), cwd: bytes = b"/") -> LinkerLine | None: ...
    def expand_native(self, flags: tuple[bytes, ...]) -> tuple[bytes, ...] | None: ...
    def files(
        self, roles: frozenset[Role], linker: bytes = b"", flags: tuple[bytes, ...] = (), cwd: bytes = b"/"
    ) -> tuple[bytes, ...]: ...


class Toolchain(Protocol):
    """Where facts come from (`gg.models.toolchain`). `output` is the name that its link lines give to the output."""

    output: bytes

    def facts(self, probe: Probe, program: bytes, env: Mapping[bytes, bytes]) -> Facts: ...
    def program_files(self, probe: Probe, program: bytes, env: Mapping[bytes, bytes]) -> tuple[bytes, ...]: ...
    def locale_files(
        self, probe: Probe, env: Mapping[bytes, bytes], program: bytes, *, converters: bool
    ) -> tuple[bytes, ...]: ...
