"""`python -m benchmarks.figures [FIGURE...]`: measure gg's figures on this machine, all sides by turns.

Without a figure, all of them. Exit status 1 when a limit is not kept. `--plain` runs the sides without gg alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks import state
from benchmarks.figures import forcing, overhead, recording
from benchmarks.figures.setting import Figure, Setting
from benchmarks.machine import machine

FIGURES: dict[str, Callable[[Setting], list[Figure]]] = {
    "shim": overhead.shim,
    "per-thunk": overhead.per_thunk,
    "per-call": overhead.per_call,
    "all-known": forcing.all_known,
    "record-mosh": lambda setting: recording.measure(setting, "mosh"),
    "interposer": lambda setting: recording.interposer(setting, "mosh"),
    "interposer-zlib": lambda setting: recording.interposer(setting, "zlib"),
    "unchanged": forcing.unchanged,
    "edited": forcing.edited,
    "comment-edited": forcing.comment_edited,
    "cold-mosh": lambda setting: forcing.cold(setting, "mosh"),
    "record-ffmpeg": lambda setting: recording.measure(setting, "ffmpeg"),
    "cold-ffmpeg-some": lambda setting: forcing.cold(setting, "ffmpeg", forcing.FFMPEG_LIBRARIES[:4]),
    "cold-ffmpeg": lambda setting: forcing.cold(setting, "ffmpeg"),
}
LONG = ("cold-ffmpeg",)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    assert __doc__
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)} (default: all but {LONG[0]})"
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "gg-packages")
    parser.add_argument("--gg-prefix", type=Path, help="directory of gg-infer and gg-force (default: from PATH)")
    parser.add_argument("--plain", action="store_true", help="only the sides that need no gg")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="turns; the median is reported")
    parser.add_argument("--json", type=Path, help="write all values here")
    parser.add_argument("--markdown", type=Path, help="write a table here")
    args = parser.parse_args(argv)
    unknown = [name for name in args.figures if name not in FIGURES]
    if unknown:
        parser.error(f"no such figure: {', '.join(unknown)}")
    return args


def line(figure: Figure) -> str:
    verdict = "" if figure.limit is None else f" (limit {figure.limit:g}: {'holds' if figure.holds else 'MISSED'})"
    return f"{figure.name}: {figure.value:g} {figure.unit}{verdict} {figure.note}".rstrip()


def markdown(about: dict[str, str], figures: list[Figure]) -> str:
    """A table for `benchmarks/results`."""
    rows = ["| figure | value | limit | holds | how |", "|---|---|---|---|---|"]
    for figure in figures:
        limit = "-" if figure.limit is None else f"{figure.limit:g} {figure.unit}"
        holds = "-" if figure.limit is None else "yes" if figure.holds else "no"
        rows.append(f"| {figure.name} | {figure.value:g} {figure.unit} | {limit} | {holds} | {figure.note} |")
    facts = "\n".join(f"- {name}: {value}" for name, value in about.items())
    return f"# Figures\n\n{facts}\n\n" + "\n".join(rows) + "\n"


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    found = None if args.plain else shutil.which("gg-infer", path=str(args.gg_prefix) if args.gg_prefix else None)
    if not args.plain and found is None:
        raise SystemExit("gg-infer is not on PATH: install gg, give --gg-prefix, or say --plain")
    gg = Path(found).absolute().parent if found else None
    setting = Setting(cache=args.cache.absolute(), gg=gg, jobs=args.jobs, repeats=args.repeats)
    setting.scratch.mkdir(parents=True, exist_ok=True)
    state.keep_below(setting.scratch)
    about, figures = machine() | {"repeats": str(args.repeats), "jobs": str(args.jobs)}, []
    print(*(f"{name}: {value}" for name, value in about.items()), sep="\n")
    for name in args.figures or [name for name in FIGURES if name not in LONG]:
        for figure in FIGURES[name](setting):
            figures.append(figure)
            print(line(figure), flush=True)
        if args.json:
            args.json.write_text(
                json.dumps({"machine": about, "figures": [asdict(f) for f in figures]}, indent=1) + "\n"
            )
        if args.markdown:
            args.markdown.write_text(markdown(about, figures))
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
