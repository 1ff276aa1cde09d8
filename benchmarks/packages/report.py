"""Results as one line a package, as a table for `benchmarks/results`, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.packages.stages import Result


def _seconds(result: Result, *keys: str) -> str:
    known = [result.seconds[key] for key in keys if key in result.seconds]
    return f"{sum(known):.1f} s" if known else "-"


def _kinds(result: Result) -> str:
    return " ".join(f"{number} {kind}" for kind, number in result.artefacts.items())


def line(result: Result) -> str:
    """What a person wants to see of one package: verdict, counts, times, what ran for real."""
    verdict = "FAILED" if result.failures else "identical"
    parts = [
        f"{result.package} {result.version}: {verdict}",
        f"{result.identical} of {result.compared} files ({_kinds(result)})",
        f"make {_seconds(result, 'plain make')}",
    ]
    if "gg infer" in result.seconds:
        parts.append(f"infer {_seconds(result, 'gg infer')}, force {_seconds(result, 'gg force-some', 'gg force')}")
        parts.append(f"{'?' if result.thunks is None else result.thunks} thunks")
        reasons = ", ".join(f"{n} {why}" for why, n in sorted(result.real_runs.items()))
        parts.append(f"ran for real: {reasons or 'none'}")
    if result.nondeterministic:
        parts.append(f"{len(result.nondeterministic)} differ between two plain builds")
    return "; ".join(parts)


def details(result: Result, most: int = 20) -> list[str]:
    """Each failure on a line, at most `most` of them."""
    shown = [f"  {failure}" for failure in result.failures[:most]]
    left = len(result.failures) - most
    return shown + ([f"  and {left} more"] if left > 0 else [])


def as_json(machine: dict[str, str], jobs: int, results: Sequence[Result]) -> dict[str, object]:
    return {"machine": machine, "jobs": jobs, "packages": [asdict(result) for result in results]}


def as_markdown(machine: dict[str, str], jobs: int, results: Sequence[Result]) -> str:
    """The table of `benchmarks/results/packages.md`."""
    rows = [
        "| package | files compared | identical | kinds | make | infer | force | thunks | ran for real | verdict |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        real = "<br>".join(f"{n} {why}" for why, n in sorted(result.real_runs.items())) or "-"
        verdict = "<br>".join(result.failures[:3]) or "same bytes"
        thunks = "-" if result.thunks is None else str(result.thunks)
        rows.append(
            f"| {result.package} {result.version} | {result.compared} | {result.identical} | {_kinds(result)} "
            f"| {_seconds(result, 'plain make')} | {_seconds(result, 'gg infer')} "
            f"| {_seconds(result, 'gg force-some', 'gg force')} | {thunks} | {real} | {verdict} |"
        )
    about = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    return f"# Packages, plainly and through gg, {jobs} jobs\n\n{about}\n\n" + "\n".join(rows) + "\n"
