"""`python -m benchmarks.situations`: packaging tools and language build systems, plainly and through gg, as a table.

Each situation is built plainly, then by gg-infer and gg-force in the same directory; every file, in the project and where
it installs, is compared, and the exit status. A file that differs is looked for in a second plain build too. Exit status
1 when anything is not as plainly.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.packages import sources, summary, tree
from benchmarks.situations.place import Built, Place
from benchmarks.situations.situation import Situation, load


@dataclass(slots=True)
class Row:
    """What was seen of one situation. `wrong` are sentences; none means: as plainly."""

    name: str
    about: str
    files: int = 0
    unstable: list[str] = field(default_factory=list)
    thunks: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    unjudged: str = ""

    @property
    def verdict(self) -> str:
        return f"not judged: {self.unjudged}" if self.unjudged else "DIFFERS" if self.wrong else "same"

    def line(self) -> str:
        times = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in self.seconds.items())
        return f"{self.name}: {self.verdict}, {self.files} files, {self.thunks} thunks; {times}"


def judge(situation: Situation, cache: Path, gg: Path | None) -> Row:
    """Build it both ways and compare; without gg, plainly only."""
    place, row = Place(cache, situation), Row(situation.name, situation.about)
    plain = place.plain()
    row.files, row.seconds["plain"] = len(plain.files), round(plain.ran.wall, 2)
    if plain.ran.status:
        row.unjudged = f"the plain build ends with {plain.ran.status}, see {place.logs}"
    if plain.ran.status or gg is None:
        return row
    made, forced = place.through_gg(gg)
    row.seconds |= {"gg-infer": round(made.ran.wall, 2), "gg-force": round(forced.wall, 2)}
    row.thunks = summary.read(gg, place.tree, place.env).thunks or 0
    for name, ran in (("gg-infer", made.ran), ("gg-force", forced)):
        if ran.status:
            row.wrong.append(f"{name} ends with {ran.status}, see {place.logs}")
    row.wrong += _placeholders(place)
    _compare(row, place, plain, made)
    return row


def _placeholders(place: Place) -> list[str]:
    left = [path for path in place.snapshot() if summary.is_placeholder(place.top / os.fsdecode(path))]
    return [f"still a placeholder: {os.fsdecode(path)}" for path in left]


def _compare(row: Row, place: Place, plain: Built, made: Built) -> None:
    differences = tree.compare(plain.files, made.files)
    if differences:
        again = tree.compare(plain.files, place.plain().files)
        row.unstable = again.lines()
        differences = differences.without(again.paths())
    row.wrong += differences.lines()


def _prepare(cache: Path, chosen: list[Situation]) -> None:
    """What the situations need of three registries."""
    sources.install_dependencies(sources.missing_packages({name for one in chosen for name in one.depends}))
    pip = sorted({name for one in chosen for name in one.pip})
    npm = sorted({name for one in chosen for name in one.npm})
    venv = cache / "venv"
    if pip and not venv.is_dir():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "pip"), "install", "-q", *pip], check=True)
    if npm and not (cache / "npm").is_dir():
        subprocess.run(["npm", "install", "--silent", "--prefix", str(cache / "npm"), *npm], check=True)


def _table(rows: list[Row], about: dict[str, str]) -> str:
    head = ["| situation | files | thunks | plain s | gg-infer s | gg-force s | |", "|---|---|---|---|---|---|---|"]
    lines = [
        f"| {row.about} | {row.files} | {row.thunks} | "
        + " | ".join(f"{row.seconds.get(key, 0):.1f}" for key in ("plain", "gg-infer", "gg-force"))
        + f" | {row.verdict}{': ' + '; '.join(row.wrong[:3]) if row.wrong else ''} |"
        for row in rows
    ]
    same = sum(not row.wrong and not row.unjudged for row in rows)
    told = [f"{name}: {value}" for name, value in about.items()]
    return "\n".join([*head, *lines, "", f"{same} of {len(rows)} as plainly.", "", *told]) + "\n"


def main(argv: list[str] | None = None) -> int:
    assert __doc__
    parser = argparse.ArgumentParser(prog="python -m benchmarks.situations", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help="situations by name, with commas between (default: all)")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "gg-situations")
    parser.add_argument("--gg-prefix", type=Path, help="directory of gg-infer and gg-force (default: from PATH)")
    parser.add_argument("--plain", action="store_true", help="no gg: are the situations themselves right?")
    parser.add_argument("--no-install", action="store_true", help="install nothing")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--markdown", type=Path, help="write a table here")
    args = parser.parse_args(argv)
    found = shutil.which("gg-infer", path=str(args.gg_prefix) if args.gg_prefix else None)
    if found is None and not args.plain:
        raise SystemExit("gg-infer is not on PATH: install gg, or give --gg-prefix")
    known = load()
    names = args.only.split(",") if args.only else list(known)
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no situation {', '.join(unknown)}; there are {', '.join(known)}")
    cache, chosen = args.cache.absolute(), [known[name] for name in names]
    gg = Path(found).absolute().parent if found and not args.plain else None
    if not args.no_install:
        _prepare(cache, chosen)
    rows = []
    for situation in chosen:
        rows.append(judge(situation, cache, gg))
        print(rows[-1].line(), *(f"    {line}" for line in rows[-1].wrong[:12]), sep="\n", flush=True)
        if args.json:
            args.json.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1))
        if args.markdown:
            args.markdown.write_text(_table(rows, machine()))
    print(f"{sum(row.verdict == 'same' for row in rows)} of {len(rows)} as plainly")
    return 1 if any(row.wrong or row.unjudged for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
