"""The variables of the caller's environment that a compiler driver, or a program that it starts, can heed. As data."""

from __future__ import annotations

from collections.abc import Mapping

from gg.models.binutils.common import directory_name, relative_entries
from gg.models.drafts import Call, PathKind, Probe

# GCC's manual, "Environment Variables Affecting GCC"; binutils' manuals; clang's man page; gettext's and libc's.
KEPT = (
    *(b"LANG", b"LANGUAGE", b"LC_ALL", b"LC_CTYPE", b"LC_MESSAGES", b"LC_COLLATE", b"LC_NUMERIC", b"LC_TIME"),
    *(b"SOURCE_DATE_EPOCH", b"TZ", b"GCC_COLORS", b"GCC_URLS", b"GCC_COMPARE_DEBUG", b"GCC_EXTRA_DIAGNOSTIC_OUTPUT"),
    *(b"CPATH", b"C_INCLUDE_PATH", b"CPLUS_INCLUDE_PATH", b"OBJC_INCLUDE_PATH", b"OBJCPLUS_INCLUDE_PATH"),
    *(b"LIBRARY_PATH", b"COMPILER_PATH", b"GCC_EXEC_PREFIX", b"GCC_ROOT", b"LPATH", b"LD_RUN_PATH", b"LDEMULATION"),
    *(b"LD_LIBRARY_PATH", b"GNUTARGET", b"COLLECT_NO_DEMANGLE", b"COLLECT_GCC", b"COLLECT_LTO_WRAPPER", b"REALGCC"),
    *(b"SDKROOT", b"COMPILER_INSTALL_PATH", b"POSIXLY_CORRECT"),
)
KEPT_PREFIXES = (b"NIX_", b"SPACK_")  # what their compiler wrappers read
_BEGINNINGS = frozenset(prefix[:3] for prefix in KEPT_PREFIXES)
NOT_KEPT = frozenset(  # of nix itself
    (b"NIX_SSL_CERT_FILE", b"NIX_PATH", b"NIX_PROFILES", b"NIX_REMOTE", b"NIX_USER_PROFILE_DIR", b"NIX_BUILD_CORES")
)

# These write files, or rewrite the command line, out of sight.
REFUSED = (
    *(
        b"DEPENDENCIES_OUTPUT",
        b"SUNPRO_DEPENDENCIES",
        b"CCC_OVERRIDE_OPTIONS",
        b"CC_PRINT_OPTIONS",
        b"CC_LOG_DIAGNOSTICS",
    ),
    *(b"CC_PRINT_HEADERS", b"CC_PRINT_PROC_STAT"),
)

# What the drivers and lto-wrapper find through PATH.
HELPERS = (b"as", b"ld", b"ld.bfd", b"ld.gold", b"ld.lld", b"ld.mold", b"collect2", b"objcopy", b"lld", b"make")

# What they find where -B and COMPILER_PATH say, besides.
PASSES = (
    b"cc1",
    b"cc1plus",
    b"cc1obj",
    b"f951",
    b"lto1",
    b"lto-wrapper",
    b"specs",
    b"real-ld",
    b"collect-ld",
    b"nm",
    b"strip",
)

# Lists of directories in which the driver looks for what it runs.
_SEARCHED = (b"COMPILER_PATH", b"GCC_EXEC_PREFIX")


def refusal(call: Call, probe: Probe) -> str:
    """Why this environment forbids to model the call; empty if it does not."""
    env = call.env
    for name in REFUSED:
        if name in env:
            return f"{name.decode()} is set"
    for name in _SEARCHED:
        if name in env and relative_entries(env[name]):
            return f"{name.decode()} names a relative directory"
    for directory in relative_entries(env.get(b"PATH", b"")):
        for helper in HELPERS:
            if probe.kind(b"%s/%s/%s" % (call.cwd, directory, helper)) is PathKind.FILE:
                return f"PATH has {helper.decode()} in a relative directory"
    return ""


def kept(env: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The variables of `env` that count, without PATH and PWD."""
    found = {name: env[name] for name in KEPT if name in env}
    for name in env:
        if name[:3] in _BEGINNINGS and name.startswith(KEPT_PREFIXES) and name not in NOT_KEPT:
            found[name] = env[name]
    return found


class Environments:
    """The environments of one session's thunks. Which directories of a PATH hold helpers is looked up once."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._paths: dict[tuple[bytes, bytes], bytes] = {}

    def of(self, call: Call, found: Mapping[bytes, bytes], *, whole_path: bool = False) -> dict[bytes, bytes]:
        """The environment of the call's thunk. `found`: the variables of the caller that are kept.

        `whole_path`: the driver is a script, which may start anything.
        """
        env = dict(found)
        search = call.env.get(b"PATH", b"")
        env[b"PATH"] = search if whole_path else self._useful(search, call.tool.path)
        env[b"PWD"] = directory_name(call, self._probe)
        return env

    def _useful(self, search: bytes, program: bytes) -> bytes:
        """The directories of `search` that hold a helper, in their order, then the driver's own."""
        key = (search, program)
        if key not in self._paths:
            found = [d for d in search.split(b":") if d.startswith(b"/") and self._has_helper(d)]
            own = program[: program.rfind(b"/")] or b"/"
            self._paths[key] = b":".join(dict.fromkeys((*found, own)))
        return self._paths[key]

    def _has_helper(self, directory: bytes) -> bool:
        return any(self._probe.kind(directory + b"/" + name) is PathKind.FILE for name in HELPERS)
