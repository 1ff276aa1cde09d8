"""Recording a build, against the same `make` with tools that only create their outputs.

The null tools are the floor: make, the shell and what else the build runs, without any compiler. "First" starts
with nothing known of the build, on a machine where gg was used before; "second" comes after `make clean`, with what is known
from the first.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures.setting import Figure, Setting, Tree, ratio
from benchmarks.timing import Ran, median

LIMITS = {"first": 1.5, "second": 1.2}
INTERPOSER_LIMIT = 1.03
MEMORY_LIMIT_MB = 300.0
METADATA_LIMIT_MB = 10.0


def _null(setting: Setting, tree: Tree) -> tuple[Ran, Ran]:
    """A first and a second build with null tools."""
    where, env, log = tree.renew(setting), setting.null_environment(), f"null-{tree.recipe.name}"
    make = f"make -j{setting.jobs}"
    first = setting.run(make, where, log, env)
    setting.run("make clean", where, log, env)
    return first, setting.run(make, where, log, env)


def _record(setting: Setting, tree: Tree) -> tuple[Ran, Ran]:
    """A first and a second recording."""
    where, log = tree.renew(setting), f"record-{tree.recipe.name}"
    infer = [setting.tool("gg-infer"), "make", f"-j{setting.jobs}"]
    first = setting.run(infer, where, log)
    setting.run("make clean", where, log)
    return first, setting.run(infer, where, log)


def _plain_only(name: str, nulls: list[tuple[Ran, Ran]]) -> list[Figure]:
    walls = {which: [round(pair[at].wall, 4) for pair in nulls] for at, which in enumerate(LIMITS)}
    return [
        Figure(f"null tools, {name}, {which}", median(values), "s", None, "make with tools that only create outputs")
        for which, values in walls.items()
    ]


def _size(directory: Path) -> float:
    return sum(path.lstat().st_size for path in directory.rglob("*")) / 1e6


def measure(setting: Setting, name: str) -> list[Figure]:
    """The ratios for one package; with FFmpeg, memory and metadata too."""
    tree = Tree(setting, name)
    nulls: list[tuple[Ran, Ran]] = []
    records: list[tuple[Ran, Ran]] = []
    for _ in range(setting.repeats):
        nulls.append(_null(setting, tree))
        if setting.gg is not None:
            records.append(_record(setting, tree))
    if not records:
        return _plain_only(name, nulls)
    figures = [
        ratio(
            f"recording, {name}, {which}",
            "x",
            limit,
            [pair[at] for pair in records],
            [pair[at] for pair in nulls],
            "gg-infer make over make with null tools, wall",
        )
        for at, (which, limit) in enumerate(LIMITS.items())
    ]
    memory = [round(max(first.memory, second.memory) * 1024 / 1e6, 1) for first, second in records]
    metadata = setting.status(tree.directory).metadata
    limits = (MEMORY_LIMIT_MB, METADATA_LIMIT_MB) if name == "ffmpeg" else (None, None)
    figures.append(Figure(f"memory, recording {name}", median(memory), "MB", limits[0], "largest process of the build"))
    if metadata is not None:
        whole = f"state in all, blobs included: {_size(setting.scratch / 'state'):.1f} MB"
        figures.append(Figure(f"metadata, {name}", round(metadata / 1e6, 2), "MB", limits[1], whole))
    return figures


def interposer(setting: Setting, name: str) -> list[Figure]:
    """Recording with the interposer over recording without it, where nothing reads a placeholder; all is known."""
    if setting.gg is None:
        return []
    tree = Tree(setting, name)
    where, log = tree.renew(setting), f"interposer-{name}"
    ways: dict[str, list[Ran]] = {"with": [], "without": []}
    for turn in range(2 * setting.repeats + 1):
        for way in ways if turn % 2 else reversed(ways):
            setting.run("make clean", where, log)
            option = ["--no-interposer"] if way == "without" else []
            ran = setting.run([setting.tool("gg-infer"), *option, "make", f"-j{setting.jobs}"], where, log)
            if turn:  # the first is for the memory of files and answers
                ways[way].append(ran)
    read = setting.status(where).forced_on_read
    figures: list[Figure] = []
    for what, limit in (("cpu", INTERPOSER_LIMIT), ("wall", None)):
        ours, theirs = ([round(getattr(ran, what), 4) for ran in ways[way]] for way in ways)
        value = median([a / b for a, b in zip(ours, theirs, strict=True)])
        note = f"gg-infer make over the same with --no-interposer, median of {len(ours)} pairs; {read} reads forced"
        runs = {"with s": ours, "without s": theirs}
        figures.append(Figure(f"interposer, {name}, {what}", round(value, 3), "x", limit, note, runs))
    return figures
