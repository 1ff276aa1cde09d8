"""Asks the compiler about a unit of which the include scan cannot tell all that it reads: a slow way, for few units.

`#include MACRO(x)` is in the make rule that `-M` prints. `.incbin` of a name that macros make is in no rule; the text that `-E`
prints has the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gg.record.outputs import NotCapturable

if TYPE_CHECKING:
    from gg.models.drafts import Call, Draft, Scan
    from gg.models.includes.scanner import Closure, Scanner

_BY_COMPILER = "an include that only the compiler can follow"
_BY_ASSEMBLER = "an .incbin whose file only the assembler can tell"


def completed(closure: Closure, scanner: Scanner, scan: Scan, draft: Draft, call: Call) -> Closure:
    """`closure` and what the compiler told; NotCapturable if that is not all either."""
    if closure.opaque:
        closure = scanner.with_assembled(scan, _printed(scan, draft, call, b"-E", b"-P"), call.cwd)
        if closure.opaque:
            raise NotCapturable(_BY_ASSEMBLER)
    if closure.unresolved:
        closure = scanner.with_rule(closure, _printed(scan, draft, call, b"-M"), call.cwd)
    return closure


def _printed(scan: Scan, draft: Draft, call: Call, *options: bytes) -> bytes:
    """What the compiler prints about the scan's sources with these options."""
    import subprocess

    if not scan.fallback:
        raise NotCapturable(_BY_COMPILER)
    command = [*scan.fallback, *options]
    done = subprocess.run(
        command, env=dict(draft.env), cwd=call.cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        raise NotCapturable(_BY_COMPILER)
    return done.stdout
