"""Whether a case through gg gave what it gives plainly; the answers are sentences, none when all is equal."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from tests.commands.batch import Files, Seen, Through, placeholders
from tests.commands.case import Case


def rules(depfile: bytes) -> dict[bytes, frozenset[bytes]]:
    """A dependency file's meaning: the set of prerequisites of each target."""
    meaning: dict[bytes, frozenset[bytes]] = {}
    for line in depfile.replace(b"\\\n", b" ").splitlines():
        targets, colon, prerequisites = (line + b" ").partition(b": ")
        if colon:
            for target in targets.split():
                meaning[target] = meaning.get(target, frozenset()) | frozenset(prerequisites.split())
    return meaning


_SCRATCH = re.compile(rb"(/[^\s:`']*)?/cc[A-Za-z0-9]{6}(?=\.)")


def plain_words(said: bytes) -> bytes:
    """A diagnostic with the compiler's random temporary names made one."""
    return _SCRATCH.sub(b"/TEMPORARY", said)


def _is_depfile(content: bytes) -> bool:
    return b": " in content[:4096] and b"\0" not in content and bool(rules(content))


def _mean_the_same(one: bytes, two: bytes) -> bool:
    return _is_depfile(one) and rules(one) == rules(two)


def files(
    wanted: Files, made: Files, unforced: frozenset[bytes] = frozenset(), volatile: frozenset[bytes] = frozenset()
) -> list[str]:
    """How two directories differ. `unforced` are placeholders that a failed command rightly left.

    The dependency file beside such a placeholder stays too: with it make records the unit again when a header is mended.
    """
    said: list[str] = []
    for path in sorted(wanted.keys() | made.keys()):
        name, one, two = os.fsdecode(path), wanted.get(path), made.get(path)
        if one is None and path not in unforced and not (unforced and two and _is_depfile(two.content)):
            said.append(f"{name}: only through gg")
        elif two is None:
            said.append(f"{name}: only plainly")
        elif one is not None and one != two and path not in unforced:
            if path not in volatile and one.content != two.content and not _mean_the_same(one.content, two.content):
                said.append(f"{name}: {len(one.content)} bytes plainly, {len(two.content)} through gg, not the same")
            if one.executable != two.executable or one.link != two.link:
                said.append(f"{name}: another mode")
    return said


def _diagnostics(block: bytes, inferred: Seen, forced: bytes, everywhere: Sequence[Seen]) -> list[str]:
    """Each text is told once: by the command when it was recorded, or when it was forced."""
    if block == plain_words(inferred.said):
        return []
    expected = sum(plain_words(seen.said).count(block) for seen in everywhere)
    told = plain_words(forced).count(block)
    if told == expected:
        return []
    return [f"told {told} times instead of {expected}: {block[:400].decode(errors='replace')}"]


def case(at: int, row: Case, plain: Sequence[Seen], through: Through) -> list[str]:
    """All that is wrong with one case of a batch."""
    wanted, inferred, forced = plain[at], through.inferred[at], through.forced[at]
    left, block = frozenset(placeholders(forced)), plain_words(wanted.said)
    if wanted.status == 0 or inferred.status != 0:
        said = files(wanted.files, forced, volatile=row.volatile)
        if inferred.status != wanted.status:
            said.append(f"status {wanted.status} plainly, {inferred.status} under gg-infer")
        if block:
            said += _diagnostics(block, inferred, through.said, _silent_when_recorded(plain, through))
        elif inferred.said:
            said.append(f"silent plainly, but under gg-infer: {inferred.said[:400].decode(errors='replace')}")
        return said
    # It was deferred, and failed when it was forced: told then, and nothing is left that plainly is not.
    said = files(wanted.files, forced, left, row.volatile)
    if through.status == 0:
        said.append(f"status {wanted.status} plainly, 0 when forced")
    if plain_words(through.said).count(block) < 1:
        said.append(f"not told: {block[:400].decode(errors='replace')}")
    return said


def _silent_when_recorded(plain: Sequence[Seen], through: Through) -> list[Seen]:
    """The cases whose words must come from `gg-force`: those that said something else, or nothing, under gg-infer."""
    return [
        wanted
        for wanted, inferred in zip(plain, through.inferred, strict=True)
        if plain_words(wanted.said) != plain_words(inferred.said)
    ]


def plain_twice(row: Case, first: Seen, second: Seen) -> list[str]:
    """What differs between two plain runs of one case: such a case can tell nothing of gg."""
    said = files(first.files, second.files, volatile=row.volatile)
    one, two = (
        [(s, out, plain_words(err.encode("latin-1"))) for s, out, err in seen.outcomes] for seen in (first, second)
    )
    if one != two:
        said.append(f"{one} and {two}")
    return said
