"""Which share of a build's tool calls became thunks: of compiles, and of links and archives.

A call that ran for real is put into a class by its command line, a thunk by what it says of itself. Trials of configure
steps and questions are answered at once on purpose: they are in neither share, and counted by reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

COMPILES, LINKS, OTHERS = "compiles", "links and archives", "others"
LIMITS = {COMPILES: 0.95, LINKS: 0.80}  # over all packages of a run

_WORKS = {
    **dict.fromkeys(("compile", "assemble", "preprocess"), COMPILES),
    **dict.fromkeys(("link", "archive"), LINKS),
}
_DRIVERS = frozenset(("gcc", "g++", "cc", "c++", "c89", "c99", "cpp", "clang", "clang++", "clang-cpp"))
_ASSEMBLERS = frozenset(("as", "nasm", "yasm"))
_JOINERS = frozenset(("ar", "ranlib", "gcc-ar", "gcc-ranlib", "llvm-ar", "llvm-ranlib"))
_NO_LINK = frozenset(("-c", "-S", "-E", "-M", "-MM", "-fsyntax-only"))


@dataclass(frozen=True, slots=True)
class Share:
    """Calls that became thunks and calls that ran for real."""

    thunks: int = 0
    real: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(self.thunks + other.thunks, self.real + other.real)

    @property
    def part(self) -> float:
        """Of 1; all, when there was no call."""
        total = self.thunks + self.real
        return self.thunks / total if total else 1.0

    def __str__(self) -> str:
        return f"{self.thunks} of {self.thunks + self.real} ({self.part:.1%})"


def class_of_call(tool: str, argv: Sequence[str]) -> str:
    """What a call would have been, told from its command line."""
    if tool in _DRIVERS:
        return COMPILES if tool.endswith("cpp") or _NO_LINK.intersection(argv) else LINKS
    if tool in _ASSEMBLERS:
        return COMPILES
    return LINKS if tool in _JOINERS or tool.startswith("ld") or tool == "mold" else OTHERS


def shares(by_work: Mapping[str, int], real: Iterable[tuple[str, Sequence[str]]]) -> dict[str, Share]:
    """By class, from what thunks there are of each work and from the calls (tool, argv) that ran for real."""
    thunks: Counter[str] = Counter()
    for work, number in by_work.items():
        thunks[_WORKS.get(work, OTHERS)] += number
    ran = Counter(class_of_call(tool, argv) for tool, argv in real)
    return {name: Share(thunks[name], ran[name]) for name in (COMPILES, LINKS, OTHERS)}


def total(each: Iterable[Mapping[str, Share]]) -> dict[str, Share]:
    """Over several packages."""
    sums = {name: Share() for name in (COMPILES, LINKS, OTHERS)}
    for one in each:
        for name, share in one.items():
            sums[name] += share
    return sums


def below_limit(sums: Mapping[str, Share]) -> list[str]:
    """What is not reached, as sentences."""
    return [
        f"of {name} {sums[name]} became thunks; {limit:.0%} are promised"
        for name, limit in LIMITS.items()
        if sums[name].part < limit
    ]
