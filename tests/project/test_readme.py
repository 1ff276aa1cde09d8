"""README.md does what it says: its shell blocks that are marked `run` are run, in order, in one small project.

Its tables are compared with the programs: every command, option, setting and exit status, and no more than there are.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg import errors
from gg.cli import group as cli
from gg.light.slotted import names_of
from gg.workspace import settings as config
from tests.commands.batch import programs

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh run\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)

FILES = {
    "Makefile": "hello: main.o util.o\n\t$(CC) -o $@ main.o util.o\nmain.o util.o: util.h\n",
    "main.c": '#include "util.h"\nint main(void) { return hello("hello, world"); }\n',
    "util.c": '#include <stdio.h>\n#include "util.h"\nint hello(const char *w) { return puts(w) < 0; }\n',
    "util.h": "int hello(const char *whom);\n",
}


def _section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _rows(title: str) -> Iterator[list[str]]:
    """The cells of a section's table, its head left out; a pipe in a cell is written `\\|`."""
    for line in _section(title).splitlines()[2:]:
        if line.startswith("| ") and not line.startswith(("| command |", "| in ", "| status |")):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed. A block that fails fails all."""
    where = tmp_path_factory.mktemp("readme")
    for name, text in FILES.items():
        (where / name).write_text(text)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GG_", "XDG_", "MAKE"))}
    env = clean | {"HOME": str(where), "PATH": f"{programs()}{os.pathsep}{os.environ['PATH']}"}
    found = []
    for block in BLOCKS:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=where, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\nsaid:\n{done.stdout}"
        found.append(done.stdout)
    return found


def _of(said: list[str], command: str) -> str:
    """What the block printed that has this command."""
    return next(text for block, text in zip(BLOCKS, said, strict=True) if command in block)


def test_the_first_build(said: list[str]) -> None:
    first = _of(said, "gg-infer make -j8")
    assert "gg: recorded 3 thunks (3 new)" in first
    assert "gg: 3 thunks: 3 ran, 0 cached, 0 failed in " in first
    assert "hello, world\n" in first
    assert re.search(r"make: ('hello' is up to date|Nothing to be done)", first)


def test_an_edit_does_what_it_needs(said: list[str]) -> None:
    """The comment changes no object, so nothing is linked."""
    assert "gg: 2 thunks: 1 ran, 1 cached, 0 failed in " in _of(said, "a comment")


def test_the_rest_does_what_it_says(said: list[str]) -> None:
    assert "0 placeholders wait to be forced" in _of(said, "gg status")
    assert "hello" in _of(said, "gg describe hello")
    assert "removed 0 placeholders" in _of(said, "gg clean")
    assert _of(said, "cat sorted").endswith("apple\npear\n")


def test_every_command_is_in_the_table() -> None:
    rows = list(_rows("Commands"))
    named = {word for row in rows for word in re.findall(r"`([a-z-]+)", row[0])}
    assert named == set(cli._COMMANDS)
    alone = {word for row in rows for word in re.findall(r"`(gg-[a-z-]+)`", row[1])}
    scripts = set(re.findall(r"^(gg-[a-z-]+) = ", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    assert alone == scripts


def test_every_option_is_in_the_table_and_is_one() -> None:
    for row in _rows("Commands"):
        name = row[0].strip("`").split()[0].strip("`,")
        options = set(re.findall(r"--[a-z-]+", row[3])) - {"--help"}
        if "--help" not in row[3]:
            real = {
                o for p in cli.load(name).params for o in p.opts if o.startswith("--") and not getattr(p, "hidden", 0)
            }
            assert options == real - {"--debug"}, name


def test_every_setting_is_in_the_table() -> None:
    rows = list(_rows("Settings"))
    assert {v for row in rows for v in re.findall(r"GG_[A-Z_]+", row[1])} <= set(config._ENVIRONMENT.values()) | {
        "GG_DIR",
        "GG_KEY",
        "GG_PASS",
        "GG_TRUST",
    }
    named = {row[0].strip("`").split()[0] for row in rows if row[0]}
    assert named == set(names_of(config.Settings))


def test_every_exit_status_is_in_the_table() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.GGError)]
    stated = {int(row[0]) for row in _rows("Exit statuses") if row[0].isdigit()}
    assert stated == {c.exit_code for c in classes} | {75}


def test_links_lead_somewhere() -> None:
    for name in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in name or (ROOT / name).exists(), name


def test_other_commands_are_make_targets_or_pip() -> None:
    """What is not run here is run by CI: make demo, make test (which install with pip)."""
    others = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    commands = [line.split("#")[0].strip() for block in others for line in block.splitlines()]
    assert set(commands) == {"make demo", "make test", "pip install ."}
    assert {"make demo", "make test"} <= {
        " ".join(line.split()[:2]) for line in (ROOT / ".ci/run").read_text().splitlines()
    }
