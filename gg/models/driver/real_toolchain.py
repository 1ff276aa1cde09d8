"""The real toolchain, behind the interface through which the drivers' model asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from gg.models import toolchain
from gg.models.drafts import Probe
from gg.models.driver.toolchain_facts import Facts


class RealToolchain:
    """Asks the compilers themselves."""

    output = toolchain.OUTPUT

    def facts(self, probe: Probe, program: bytes, env: Mapping[bytes, bytes]) -> Facts:
        return toolchain.facts(probe, program, env)

    def program_files(self, probe: Probe, program: bytes, env: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
        return toolchain.program_files(probe, program, env)

    def locale_files(
        self, probe: Probe, env: Mapping[bytes, bytes], program: bytes, *, converters: bool
    ) -> tuple[bytes, ...]:
        """The files that libc opens unasked: those of the locale, and the converters that iconv may load."""
        found = toolchain.locale_files(probe, env, program)
        return (*found, *toolchain.converters(probe, program)) if converters else found
