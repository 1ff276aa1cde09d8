"""Precompiled headers that a call may pick up: `NAME.gch` (clang also `NAME.pch`) beside a header that -include names.

The compiler looks for one in each directory before it looks for the header itself there (libcpp/files.cc,
`open_file_in_dir`), the current directory first for what -include names. What is included by a source's first
directive is the scanner's matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gg.models.drafts import PathKind, Probe, SearchPath
from gg.models.driver.command import DriverCommand
from gg.models.driver.flags import CLANG


def precompiled_headers(
    command: DriverCommand, searches: Sequence[SearchPath], cwd: bytes, probe: Probe
) -> Iterator[bytes]:
    """The precompiled headers for the -include operands; refuses a directory of several."""
    suffixes = (b".pch", b".gch") if command.flavour == CLANG else (b".gch",)
    for name in command.forced:
        for candidate in _candidates(name, searches):
            whole = candidate if candidate.startswith(b"/") else cwd + b"/" + candidate
            found = [(suffix, probe.kind(whole + suffix)) for suffix in suffixes]
            if any(kind is PathKind.DIRECTORY for _, kind in found):
                command.refuse("a directory of precompiled headers")
            yield from (candidate + suffix for suffix, kind in found if kind is PathKind.FILE)
            if probe.kind(whole) is PathKind.FILE:
                break


def _candidates(name: bytes, searches: Sequence[SearchPath]) -> Iterator[bytes]:
    yield name
    if name.startswith(b"/"):
        return
    seen: set[bytes] = set()
    for search in searches:
        for directory in (*search.quote, *search.bracket):
            if directory not in seen:
                seen.add(directory)
                yield directory + b"/" + name
