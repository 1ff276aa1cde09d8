"""Trial compilations: what a configure step compiles to see whether it can be.

Their exit status is the answer, so they run at once. They are told by their names, which are the tools' own: autoconf,
CMake, Meson, SCons, waf, QEMU, zlib, musl, Perl; and by their place: a source in the directory for temporary files, of
a build that is not there itself (FFmpeg, libvpx).
"""

from __future__ import annotations

from collections.abc import Iterable

from gg.light.regex import regex

_NAMES = regex(
    rb"(?:\A|[/\0])(?:"
    rb"conftest[\w$]*(?:[.\0]|\Z)"  # autoconf, libtool, autosetup, x264
    rb"|conf\d+-\d+-\d+\.|\.conf_check_|\.sconf_temp/|config-temp/|config\.tests/"
    rb"|ztest\d+|cmTC_|CMakeTmp/|CMakeScratch/|_CMakeLTOTest-|CMakeFiles/\d[\d.]*(?:-\w+)?/CompilerId"
    rb"|CompilerId\w+/|TryCompile-|meson-private/|UU/\Z|\.tmp_\d+/|qemu-conf"
    rb")"
)
_HINT = regex(rb"conf|CMake|cmTC_|CompilerId|TryC|meson-p|ztest|UU/|\.tmp_")
_TEMPORARY = (b"/tmp/", b"/var/tmp/", b"/dev/shm/")


def is_trial(paths: Iterable[bytes], cwd: bytes, tmpdir: bytes = b"") -> bool:
    """Whether a command that runs in `cwd` and works on `paths` (sources and outputs, as written) is a trial."""
    together = b"\0".join((*paths, cwd)) + b"/"
    if _HINT.search(together) and _NAMES.search(together):
        return True
    if b"/tmp/" not in together and b"/shm/" not in together and not tmpdir:
        return False
    places = (*_TEMPORARY, tmpdir.rstrip(b"/") + b"/") if tmpdir.startswith(b"/") else _TEMPORARY
    return any(_foreign(path, cwd, place) for path in paths for place in places)


def _foreign(path: bytes, cwd: bytes, place: bytes) -> bool:
    """Whether `path` is below the temporary directory `place`, in a part of it that the build itself is not in."""
    if not path.startswith(place) or place == b"/":
        return False
    part = path[: path.find(b"/", len(place)) + 1] or path
    return not (cwd + b"/").startswith(part)
