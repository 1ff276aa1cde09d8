"""`ccache gcc -c x.c`: the compiler that a launcher was given is called, without the launcher.

gg keeps results and runs commands elsewhere itself. Under ccache every object would be read, to be kept, as soon as it
is recorded, and so be forced at once, one after the other. What a launcher can change about the compiler's output is
known, and with such a setting it runs as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from gg.light.slotted import replace
from gg.models.tool_names import LAUNCHERS, tool_name
from gg.record.protocol import RecorderRequest

# They change the command line: relative paths, another program around the compiler, options taken out.
_SETTINGS = (
    *(b"CCACHE_BASEDIR", b"CCACHE_COMPILER", b"CCACHE_IGNOREOPTIONS", b"CCACHE_PATH", b"CCACHE_PREFIX"),
    *(b"SCCACHE_BASEDIRS", b"ICECC_VERSION", b"DISTCC_CMDLIST"),
)


def is_launcher(name: bytes) -> bool:
    """Whether a program called by this name (with or without directory) is one."""
    return tool_name(os.path.basename(name)) in LAUNCHERS


def launched(request: RecorderRequest) -> RecorderRequest | None:
    """The call in a launcher's call; None when there is none (`ccache -s`), or it is not the launcher's whole work."""
    compiler = request.argv[1] if len(request.argv) > 1 else b"-"
    if compiler.startswith(b"-") or _changes(request.env):
        return None
    path = compiler if b"/" in compiler else b""
    return replace(request, path=path, argv=request.argv[1:])


def _changes(env: Mapping[bytes, bytes]) -> bool:
    return any(env.get(name) for name in _SETTINGS)
