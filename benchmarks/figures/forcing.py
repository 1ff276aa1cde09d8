"""Recording and forcing together, against make: cold, with nothing changed, and after an edit."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks import state
from benchmarks.figures.setting import Figure, Setting, Tree, ratio, seconds
from benchmarks.timing import Ran, median

FFMPEG_LIBRARIES = (
    "libavutil",
    "libswscale",
    "libswresample",
    "libpostproc",
    "libavfilter",
    "libavformat",
    "libavcodec",
)
EDITED = "src/crypto/base64.cc"
UNITS = 200
KNOWN = 2000


def _infer_and_force(setting: Setting, where: Path, command: str, log: str) -> Ran:
    infer = setting.run([setting.tool("gg-infer"), "/bin/sh", "-c", command], where, log)
    return infer + setting.run([setting.tool("gg-force"), "--quiet", "--jobs", str(setting.jobs)], where, log)


def _targets(name: str, libraries: tuple[str, ...]) -> str:
    return " ".join(f"{library}/{library}.a" for library in libraries) if name == "ffmpeg" else ""


def cold(setting: Setting, name: str, libraries: tuple[str, ...] = FFMPEG_LIBRARIES) -> list[Figure]:
    """Infer and force from nothing over a plain make, wall."""
    tree, make = Tree(setting, name), f"make -j{setting.jobs} {_targets(name, libraries)}"
    plain: list[Ran] = []
    ours: list[Ran] = []
    for _ in range(setting.repeats):
        plain.append(setting.run(make, tree.renew(setting), f"cold-{name}"))
        if setting.gg is not None:
            ours.append(_infer_and_force(setting, tree.renew(setting), make, f"cold-{name}"))
    what = f"{name} ({' '.join(libraries)})" if name == "ffmpeg" else name
    if not ours:
        return [Figure(f"plain make, {what}", median(seconds(plain)), "s", None)]
    return [ratio(f"cold, {what}", "x", 1.05, ours, plain, "gg-infer and gg-force over make, wall")]


def unchanged(setting: Setting, name: str = "mosh") -> list[Figure]:
    """After `make clean`, all known: infer and force over make with ccache full of hits; and gg-force alone."""
    tree, make, log = Tree(setting, name, "-ccache"), f"make -j{setting.jobs}", f"unchanged-{name}"
    env, where = setting.ccache_environment(), tree.renew(setting)
    setting.run(make, where, log, env)
    here = Tree(setting, name).renew(setting)
    if setting.gg is not None:
        _infer_and_force(setting, here, make, log)
    theirs: list[Ran] = []
    infers: list[Ran] = []
    forces: list[Ran] = []
    for _ in range(setting.repeats):
        setting.run("make clean", where, log)
        theirs.append(setting.run(make, where, log, env))
        if setting.gg is not None:
            setting.run("make clean", here, log)
            infers.append(setting.run([setting.tool("gg-infer"), "make", f"-j{setting.jobs}"], here, log))
            forces.append(setting.run([setting.tool("gg-force"), "--quiet"], here, log))
    if not forces:
        return [Figure(f"make with ccache full of hits, {name}", median(seconds(theirs)), "s", None)]
    ours = [infer + force for infer, force in zip(infers, forces, strict=True)]
    alone = {"s": seconds(forces)}
    return [
        ratio(f"nothing changed, {name}", "x", 1.0, ours, theirs, "gg-infer and gg-force over make with ccache, wall"),
        Figure(f"gg-force alone, all known, {name}", median(seconds(forces)), "s", 0.15, "", alone),
    ]


def all_known(setting: Setting) -> list[Figure]:
    """`gg-force` alone over 2,000 thunks that are all known and whose outputs are gone."""
    if setting.gg is None:
        return []
    where = setting.scratch / "work" / "known"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    for number in range(KNOWN):
        (where / f"s{number}.s").write_text(f".globl f{number}\nf{number}: ret\n")
    rules = "all: $(patsubst %.s,%.o,$(wildcard *.s))\n%.o: %.s ; @as $< -o $@\n"
    (where / "Makefile").write_text(rules)
    infer, forces = [setting.tool("gg-infer"), "make", f"-j{setting.jobs}"], []
    setting.run(infer, where, "known")
    setting.run([setting.tool("gg-force"), "--quiet"], where, "known")
    for _ in range(setting.repeats):
        for made in where.glob("*.o"):
            made.unlink()
        setting.run(infer, where, "known")
        forces.append(setting.run([setting.tool("gg-force"), "--quiet"], where, "known"))
    name = f"gg-force alone, {KNOWN} thunks all known"
    return [Figure(name, median(seconds(forces)), "s", 0.3, "placeholders replaced by files", {"s": seconds(forces)})]


def edited(setting: Setting) -> list[Figure]:
    """One source of mosh edited: infer and force over what make takes for it."""
    make, log = f"make -j{setting.jobs}", "edited"
    there, here = Tree(setting, "mosh", "-plain").renew(setting), Tree(setting, "mosh").renew(setting)

    def edit(where: Path, number: int) -> None:
        with open(where / EDITED, "a") as source:
            source.write(f"int edit_{number}() {{ return {number}; }}\n")

    plain: list[Ran] = []
    ours: list[Ran] = []
    setting.run(make, there, log)
    if setting.gg is not None:
        _infer_and_force(setting, here, make, log)
    for number in range(setting.repeats):
        edit(there, number)
        plain.append(setting.run(make, there, log))
        if setting.gg is not None:
            edit(here, number)
            ours.append(_infer_and_force(setting, here, make, log))
    if not ours:
        return [Figure("make after one C++ file was edited, mosh", median(seconds(plain)), "s", None)]
    return [ratio("one file edited, mosh", "x", 1.1, ours, plain, f"{EDITED}; gg-infer and gg-force over make, wall")]


def _units(where: Path) -> None:
    """A program of 200 sources that all include one header, of which gg knows nothing."""
    state.forget()
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    declarations = "".join(f"int f{n}(void);\n" for n in range(UNITS))
    (where / "common.h").write_text(f"/* comment 0 */\n#define VALUE 7\n{declarations}")
    for number in range(UNITS):
        (where / f"f{number}.c").write_text(
            f'#include "common.h"\nint f{number}(void) {{ return VALUE + {number}; }}\n'
        )
    calls = "".join(f"    sum += f{n}();\n" for n in range(UNITS))
    (where / "main.c").write_text(
        f'#include "common.h"\nint main(void) {{\n    int sum = 0;\n{calls}    return sum == 0;\n}}\n'
    )
    (where / "Makefile").write_text(
        "prog: $(patsubst %.c,%.o,$(wildcard *.c)) ; $(CC) $^ -o $@\n%.o: %.c common.h ; $(CC) -O1 -c $< -o $@\n"
    )


def comment_edited(setting: Setting) -> list[Figure]:
    """A comment edited in a header that 200 files include; says what ran, and that no link did."""
    there, here = (setting.scratch / "work" / name for name in ("comment-plain", "comment"))
    make, plain, ours, ran = f"make -j{setting.jobs}", list[Ran](), list[Ran](), list[list[str]]()
    for where in (there, here):
        _units(where)
    setting.run(make, there, "comment")
    if setting.gg is not None:
        _infer_and_force(setting, here, make, "comment")
    for number in range(setting.repeats):
        _edit_comment(there, number + 1)
        plain.append(setting.run(make, there, "comment"))
        if setting.gg is not None:
            _edit_comment(here, number + 1)
            took, labels = _force_and_tell(setting, here, make)
            ours.append(took)
            ran.append(labels)
            subprocess.run([str(here / "prog")], check=True)
    if not ours:
        return [Figure("make after a comment in a header of 200 was edited", median(seconds(plain)), "s", None)]
    objects = [sum(label.endswith(".o") for label in labels) for labels in ran]
    links = sum("prog" in labels for labels in ran)
    note = f"of {UNITS + 1} compiles and 1 link, compiles that ran: {objects}, links: {links}"
    return [
        ratio("a comment in a header of 200 edited", "x", None, ours, plain, note),
        Figure("links after a comment was edited", float(links), "links", 0.0, f"in {setting.repeats} edits"),
    ]


def _edit_comment(where: Path, number: int) -> None:
    header = where / "common.h"
    header.write_text(f"/* comment {number} */\n" + header.read_text().partition("\n")[2])


def _force_and_tell(setting: Setting, where: Path, command: str) -> tuple[Ran, list[str]]:
    """Infer and force; what they took, and the labels of the thunks that ran."""
    infer = setting.run([setting.tool("gg-infer"), "/bin/sh", "-c", command], where, "comment")
    told = setting.log("comment-events")
    told.unlink(missing_ok=True)
    force = setting.run([setting.tool("gg-force"), "--json", "--jobs", str(setting.jobs)], where, "comment-events")
    events = [json.loads(line) for line in told.read_text().splitlines() if line.startswith("{")]
    labels = [event["label"] for event in events if event["event"] == "thunk-done" and event["how"] == "ran"]
    return infer + force, labels
