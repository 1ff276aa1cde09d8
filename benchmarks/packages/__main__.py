"""`python -m benchmarks.packages`: configure and build packages plainly and through gg in one directory; compare all files.

With --debian, Debian's own package of each name is built instead, by dpkg-buildpackage, and the .deb files are compared.
Sources and work trees are kept in --cache. Without gg (--plain), each package is built plainly twice: that shows the
recipes right and the packages deterministic. Exit status 1 when anything is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks import state
from benchmarks.machine import machine
from benchmarks.packages import debian, far, recipe, report, share, sources, stages

DEFAULT = ("mosh", "zlib", "lua5.4", "hello")


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packages", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", help=f"packages by name, with commas between, or `all` (default: {','.join(DEFAULT)})"
    )
    parser.add_argument("--debian", default="", help="Debian source packages to build with dpkg-buildpackage")
    parser.add_argument("--jobs", type=int, default=2, help="for make -j and for gg-force's default")
    parser.add_argument(
        "--engine",
        choices=far.NAMES,
        default="local",
        help="on this machine, with no fallback. lambda: 100 wide; spot, remote: four workers in network namespaces; "
        "reapi: buildbox-casd; buildgrid: BuildGrid",
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "gg-packages")
    parser.add_argument("--gg-prefix", type=Path, help="directory of gg-infer and gg-force (default: from PATH)")
    parser.add_argument("--plain", action="store_true", help="no gg: build plainly twice and compare those")
    parser.add_argument("--no-check", action="store_true", help="leave out the packages' own tests")
    parser.add_argument("--no-install-dependencies", action="store_true", help="do not call apt-get install")
    parser.add_argument(
        "--merge", type=Path, help="results of an earlier run, as JSON, that shall be in the tables too"
    )
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--markdown", type=Path, help="write a table here")
    parser.add_argument("--list", action="store_true", help="name the packages and stop")
    return parser.parse_args(argv)


def _gg(prefix: Path | None) -> Path:
    """The directory that holds gg's programs; SystemExit when there is none."""
    found = shutil.which("gg-infer", path=str(prefix) if prefix else None)
    if found is None:
        raise SystemExit("gg-infer is not on PATH: install gg, give --gg-prefix, or say --plain")
    return Path(found).absolute().parent


def _chosen(args: argparse.Namespace, known: dict[str, recipe.Recipe]) -> list[recipe.Recipe]:
    if args.only is None:
        names = [] if args.debian else list(DEFAULT)
    else:
        names = list(known) if args.only == "all" else args.only.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no recipe for {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def _jobs(
    args: argparse.Namespace, chosen: list[recipe.Recipe], setting: stages.Setting
) -> Iterator[Callable[[], stages.Result]]:
    """What there is to run, one a package."""
    for one in chosen:
        yield partial(stages.side_by_side, one, setting)
    for name in filter(None, args.debian.split(",")):
        yield partial(debian.side_by_side, name, setting)


def _write(args: argparse.Namespace, about: dict[str, str], new: list[stages.Result]) -> None:
    results = report.merged(args.merge, new) if args.merge else new
    if args.json:
        args.json.write_text(json.dumps(report.as_json(about, args.jobs, results), indent=1) + "\n")
    if args.markdown:
        args.markdown.write_text(report.as_markdown(about, args.jobs, results))


def _shares(args: argparse.Namespace, results: list[stages.Result]) -> list[str]:
    """Print the shares over all packages; the limits that they miss, which are of all packages together."""
    if args.plain:
        return []
    print(f"over all: {report.overall(results)}")
    missed = share.below_limit(share.total(result.shares for result in results))
    print(*missed, sep="\n")
    return missed


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    known = recipe.load()
    if args.list:
        print("\n".join(known))
        return 0
    chosen = _chosen(args, known)
    state.keep_below(args.cache)
    _prepare(args, chosen)
    with far.engine(args.engine, args.cache) as environment:
        setting = stages.Setting(
            cache=args.cache.absolute(),
            jobs=args.jobs,
            gg=None if args.plain else _gg(args.gg_prefix),
            checks=not args.no_check,
            far=environment,
        )
        try:
            return _run(args, chosen, setting)
        except sources.SourceError as error:
            print(error, file=sys.stderr)
            return 2


def _prepare(args: argparse.Namespace, chosen: list[recipe.Recipe]) -> None:
    """All that needs the archive, since the hosts of an engine may not reach it. What cannot be had is told with its package."""
    if not args.no_install_dependencies:
        sources.install_dependencies(sources.missing_dependencies(chosen))
    for one in chosen:
        with suppress(sources.SourceError):
            sources.fetch(args.cache.absolute(), one)


def _run(args: argparse.Namespace, chosen: list[recipe.Recipe], setting: stages.Setting) -> int:
    """Build them all; the exit status. A package whose sources cannot be had is told, and the others are built."""
    about = machine()
    results: list[stages.Result] = []
    lacking = False
    for job in _jobs(args, chosen, setting):
        try:
            results.append(job())
        except sources.SourceError as error:
            print(error, file=sys.stderr, flush=True)
            lacking = True
            continue
        print(report.line(results[-1]), *report.details(results[-1]), sep="\n", flush=True)
        _write(args, about, results)
    if lacking:
        return 2
    return 1 if any(result.failures for result in results) or _shares(args, results) else 0


if __name__ == "__main__":
    sys.exit(main())
