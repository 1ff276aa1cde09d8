"""Results as one line a package, as a table for `benchmarks/results`, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.packages import share
from benchmarks.packages.stages import Result


def _seconds(result: Result, *keys: str) -> str:
    known = [result.seconds[key] for key in keys if key in result.seconds]
    return f"{sum(known):.1f} s" if known else "-"


def _waiting(result: Result) -> str:
    """The share of thunks that were still to be forced when recording ended: the others were wanted by what the build ran."""
    return f"{result.waiting / result.thunks:.0%}" if result.thunks and result.waiting is not None else "-"


def _kinds(result: Result) -> str:
    return " ".join(f"{number} {kind}" for kind, number in result.artefacts.items())


def _reasons(counts: Mapping[str, int], between: str = ", ") -> str:
    return between.join(f"{number} {why}" for why, number in sorted(counts.items()))


def line(result: Result) -> str:
    """What a person wants to see of one package: verdict, counts, times, what ran for real."""
    verdict = "FAILED" if result.failures else "identical"
    parts = [
        f"{result.package} {result.version}: {verdict}",
        f"{result.identical} of {result.compared} files ({_kinds(result)})",
        f"configure {_seconds(result, 'plain configure')}, make {_seconds(result, 'plain make')}",
    ]
    if "gg infer" in result.seconds:
        parts.append(
            f"both recorded {_seconds(result, 'gg infer')}, force {_seconds(result, 'gg force-some', 'gg force')}"
        )
        parts.append(
            f"{'?' if result.thunks is None else result.thunks} thunks, {_waiting(result)} not forced when recorded"
        )
        parts += [f"{name} {result.shares[name]}" for name in share.LIMITS if name in result.shares]
        parts.append(f"ran for real: {_reasons(result.real_runs) or 'none'}")
        parts.append(f"answered at once: {_reasons(result.questions) or 'none'}")
    if result.nondeterministic:
        parts.append(f"{len(result.nondeterministic)} differ between two plain builds")
    return "; ".join(parts)


def details(result: Result, most: int = 20) -> list[str]:
    """Each failure on a line, at most `most` of them."""
    shown = [f"  {failure}" for failure in result.failures[:most]]
    left = len(result.failures) - most
    return shown + ([f"  and {left} more"] if left > 0 else [])


def overall(results: Sequence[Result]) -> str:
    """The shares over all packages."""
    sums = share.total(result.shares for result in results)
    return "; ".join(f"{name} {sums[name]}" for name in share.LIMITS)


def as_json(machine: dict[str, str], jobs: int, results: Sequence[Result]) -> dict[str, object]:
    return {"machine": machine, "jobs": jobs, "packages": [asdict(result) for result in results]}


def _from_json(row: dict[str, Any]) -> Result:
    return Result(**row | {"shares": {name: share.Share(**counts) for name, counts in row["shares"].items()}})


def merged(earlier: Path, new: Sequence[Result]) -> list[Result]:
    """The rows of an earlier run's JSON with those of this run in their places, or after them."""
    rows = {row["package"]: _from_json(row) for row in json.loads(earlier.read_text())["packages"]}
    return list((rows | {result.package: result for result in new}).values())


def as_markdown(machine: dict[str, str], jobs: int, results: Sequence[Result]) -> str:
    """The results as a table in Markdown."""
    rows = [
        "| package | files | same | kinds | configure | make | recorded | force | thunks "
        "| not forced when recorded | compiles | links, archives | ran for real "
        "| answered at once | differ by themselves | verdict |",
        "|" + "---|" * 16,
    ]
    for result in results:
        verdict = "<br>".join(result.failures[:3]) or "same bytes"
        thunks = "-" if result.thunks is None else str(result.thunks)
        shares = " | ".join(str(result.shares.get(name, "-")) for name in share.LIMITS)
        rows.append(
            f"| {result.package} {result.version} | {result.compared} | {result.identical} | {_kinds(result)} "
            f"| {_seconds(result, 'plain configure')} | {_seconds(result, 'plain make')} "
            f"| {_seconds(result, 'gg infer')} | {_seconds(result, 'gg force-some', 'gg force')} | {thunks} "
            f"| {_waiting(result)} | {shares} "
            f"| {_reasons(result.real_runs, '<br>') or '-'} | {_reasons(result.questions, '<br>') or '-'} "
            f"| {'<br>'.join(result.nondeterministic) or '-'} | {verdict} |"
        )
    rows += ["", f"Over all: {overall(results)}."]
    about = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    return f"# Packages, plainly and through gg, {jobs} jobs\n\n{about}\n\n" + "\n".join(rows) + "\n"
