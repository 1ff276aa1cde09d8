"""What a file that a linker meets turns out to be: a script, a thin archive, for which machine.

Files under a prefix that the probe calls stable are looked at once a session; the rest each time they are met, for a
build may replace them. Placeholders are never looked at: what they will be cannot be told.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from gg.formats.archive import THIN
from gg.formats.elf import Dynamic
from gg.formats.elf_header import MAGIC
from gg.light.slotted import slotted
from gg.models.binutils.ldscript import Script, looks_like_script, read_script
from gg.models.drafts import Probe
from gg.models.toolchain.remembered import machine

Target = tuple[int, int]
"""ELF e_machine and word size in bits."""

_HEAD = 65536  # bytes: all of a script, and of an archive enough to meet its first member behind the symbol index


@slotted()
class LinkedFile:
    """What a file is; all empty for an archive or object of an unknown kind."""

    script: Script | None = None
    target: Target | None = None
    elf: bool = False
    thin: bool = False


_LOOKS: WeakKeyDictionary[Probe, dict[bytes, LinkedFile]] = WeakKeyDictionary()


def look(probe: Probe, path: bytes) -> LinkedFile:
    """What the made file at `path` (absolute) is; an empty answer if it cannot be read."""
    view = machine(probe).view
    if not view.stable(path):
        return _look(view.head(path, _HEAD))
    known = _LOOKS.setdefault(probe, {})
    found = known.get(path)
    if found is None:
        found = known[path] = _look(view.head(path, _HEAD))
    return found


def _look(head: bytes) -> LinkedFile:
    if not head:
        return LinkedFile()
    if looks_like_script(head):
        return LinkedFile(script=read_script(head))
    return LinkedFile(target=_target(head), elf=head.startswith(MAGIC), thin=head.startswith(THIN))


def _target(head: bytes) -> Target | None:
    """The machine of an ELF file, or of the first ELF member of an archive."""
    at = head.find(MAGIC)
    if at < 0 or len(head) < at + 20:
        return None
    low, high = head[at + 18], head[at + 19]
    return (low + 256 * high if head[at + 5] == 1 else 256 * low + high), 32 * head[at + 4]


def dynamic(probe: Probe, path: bytes) -> Dynamic | None:
    """The dynamic part of the made file at `path` (absolute); None if it has none."""
    return machine(probe).view.dynamic(path)
