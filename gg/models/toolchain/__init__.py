"""Facts about compilers and the files they consist of, asked of the compilers themselves and remembered for the session.

`facts(probe, program, env)` answers for a compiler driver, `program_files` for any other program. Questions are asked
lazily, each once a probe object; answers go when the probe goes. See `CompilerFacts` for what each costs.
"""

from __future__ import annotations

from gg.models.linking.linkline import INPUTS, OUTPUT, LinkLine
from gg.models.toolchain.compiler import CompilerFacts
from gg.models.toolchain.locales import converters, locale_files
from gg.models.toolchain.masquerade import is_masquerade, real_compiler
from gg.models.toolchain.remembered import facts, program_files

__all__ = [
    "INPUTS",
    "OUTPUT",
    "CompilerFacts",
    "LinkLine",
    "converters",
    "facts",
    "is_masquerade",
    "locale_files",
    "program_files",
    "real_compiler",
]
