"""`python -m tests.fuzz.crowd --builds 8`: builds of several workspaces at once on one store, while `gg gc` runs in a loop.

Each build is recorded and forced twice, an edit between; each comes to the bytes of a plain build.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.project import SCRIPTS, Project
from tests.fuzz.kills import at, write_units


def build(project: Project) -> list[str]:
    """One workspace's builds; what was wrong."""
    bad = []
    for edit in range(2):
        project.write("main.c", f"int f0_0(int); int main(void) {{ return f0_0({edit + 1}); }}\n")
        expected = project.path(f"../{project.root.name}.expected.{edit}").resolve()
        recorded = project.infer("make", "-j2", status=None)
        forced = project.force(status=None)
        for name, result in (("gg-infer", recorded), ("gg-force", forced)):
            if result.status:
                bad.append(f"{project.root.name}: {name} ends with {result.status}: {result.text[-500:]}")
        for path in sorted(expected.iterdir()):
            if not (project.root / path.name).exists() or (project.root / path.name).read_bytes() != path.read_bytes():
                bad.append(f"{project.root.name}, edit {edit}: {path.name} differs")
    return bad


def expect(project: Project, units: int) -> None:
    """Keep what plain builds make of the two states beside the tree."""
    write_units(project, units)
    for edit in range(2):
        project.write("main.c", f"int f0_0(int); int main(void) {{ return f0_0({edit + 1}); }}\n")
        built, _ = project.plain()
        kept = project.root.with_name(f"{project.root.name}.expected.{edit}")
        kept.mkdir()
        for name in ("prog", "lib.a", "main.o", "u0.o"):
            (kept / name).write_bytes(built[name].data)


def play(top: Path, env: dict[str, str], *, builds: int, units: int) -> list[str]:
    """All of it; what was wrong."""
    projects = []
    for number in range(builds):
        root = top / f"tree{number}"
        root.mkdir()
        projects.append(Project(root, env, acts=True))
        expect(projects[-1], units)
    projects[0].infer("true")  # a workspace, from which the store is collected
    done, bad, collections = threading.Event(), [], 0

    def collect() -> None:
        nonlocal collections
        while not done.is_set():
            result = projects[0].run(SCRIPTS / "gg", "gc", "--max-age", "0d", status=None)
            collections += 1
            if result.status:
                bad.append(f"gg gc ends with {result.status}: {result.text[-500:]}")
                return

    collector = threading.Thread(target=collect)
    collector.start()
    with ThreadPoolExecutor(builds) as pool:
        for wrong in pool.map(lambda project: build(project), projects):
            bad += wrong
    done.set()
    collector.join()
    print(f"{collections} collections meanwhile")
    return bad


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.crowd", description=__doc__.partition("\n")[0])
    parser.add_argument("--builds", type=int, default=8)
    parser.add_argument("--units", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gg-crowd-") as name:
        top = Path(name).resolve()
        env = at(top).env
        bad = play(top, env, builds=args.builds, units=args.units)
    print(*bad, f"{args.builds} builds, {len(bad)} wrong", sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
