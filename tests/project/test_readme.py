"""README.md and the pages of docs/ do what they say: their shell blocks that are marked `run` are run in a small project.

README's block comes first, for the pages go on from there; those of one page run in order, in a project of its own.
Tables are compared with the programs: every command, option, setting and exit status, and no more than there are.
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
from gg.cli.main import COMMANDS
from gg.light.slotted import names_of
from gg.workspace import settings as config
from tests.commands.batch import programs

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
WORDS = 1300
"""A front page is shorter than that."""

FILES = {
    "Makefile": "hello: main.o util.o\n\t$(CC) -o $@ main.o util.o\nmain.o util.o: util.h\n",
    "main.c": '#include "util.h"\nint main(void) { return hello("hello, world"); }\n',
    "util.c": '#include <stdio.h>\n#include "util.h"\nint hello(const char *w) { return puts(w) < 0; }\n',
    "util.h": "int hello(const char *whom);\n",
}


def _blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


_RUN = [page for page in PAGES if _blocks(page, "sh run")]


def _rows(page: str, title: str) -> Iterator[list[str]]:
    """The cells of the table below a heading, its head left out; a pipe in a cell is written `\\|`."""
    section = re.split(r"\n#+ ", (ROOT / "docs" / page).read_text().partition(f"# {title}\n")[2])[0]
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith(("| command |", "| in ", "| status |")):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _prose(page: Path) -> str:
    """What is no code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The headings as links name them: small letters, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.*)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _run(blocks: list[str], where: Path) -> list[tuple[str, str]]:
    """Each block, and what it printed. A block that fails fails all."""
    for name, text in FILES.items():
        (where / name).write_text(text)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GG_", "XDG_", "MAKE"))}
    env = clean | {"LC_ALL": "C", "HOME": str(where), "PATH": f"{programs()}{os.pathsep}{os.environ['PATH']}"}
    found = []
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=where, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\nsaid:\n{done.stdout}"
        found.append((block, done.stdout))
    return found


SAYS: dict[str, dict[str, str]] = {
    "builds.md": {
        "a comment": r"gg: 2 thunks: 1 ran, 1 cached, 0 failed in ",  # the object is as it was, so nothing is linked
        "--trace": r"1 command remembered",
        "gg status": r"0 placeholders wait to be forced",
        "gg describe hello": r"hello",
    },
    "compare.md": {"gg verify": r"3 thunks, each run 2 more times: all gave the same bytes"},
    "export.md": {"gg export": r"gg-nix: [1-3] derivations?, which run 3 commands"},
    "sdk.md": {"cat sorted": r"apple\npear\n\Z"},
    "state.md": {"gg clean": r"removed 0 placeholders"},
    "tools.md": {"cat fruit.sorted": r"recorded 1 thunks (?s:.*)\npear\napple\n\Z"},
}
"""By page, and by a command that a block has: what that block prints."""

CHECKOUT_SAYS = {
    "lambda.md": [r"^Prices: Lambda, S3 of \d+-\d+-\d+, machines of", r"^\| own 8 processors, and Lambda \| [\d.]+ \|"],
}
"""What is printed by the blocks that are for a checkout of gg itself."""


@pytest.mark.parametrize("page", _RUN, ids=lambda page: page.stem)
def test_its_commands_do_what_it_says(page: Path, tmp_path: Path) -> None:
    said = _run(_blocks(README, "sh run") + _blocks(page, "sh run"), tmp_path)[1:]
    for command, pattern in SAYS.get(page.name, {}).items():
        told = next(text for block, text in said if command in block)
        assert re.search(pattern, told), f"{command} said:\n{told}"


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "sh checkout")], ids=lambda page: page.stem)
def test_its_commands_for_a_checkout_run_there(page: Path) -> None:
    env = os.environ | {"PATH": f"{programs()}{os.pathsep}{os.environ['PATH']}"}
    for block in _blocks(page, "sh checkout"):
        done = subprocess.run(["bash", "-euc", block], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\nsaid:\n{done.stdout}{done.stderr}"
        for said in CHECKOUT_SAYS[page.name]:
            assert re.search(said, done.stdout, re.MULTILINE), f"{block}\nsaid:\n{done.stdout}"


def test_the_first_build_prints_what_is_shown(tmp_path: Path) -> None:
    [(_, told)] = _run(_blocks(README, "sh run"), tmp_path)
    [shown] = _blocks(README, "text said")
    assert [re.sub(r"[\d.]+ s$", "N s", line) for line in told.splitlines()] == [
        re.sub(r"[\d.]+ s$", "N s", line) for line in shown.splitlines()
    ]


def test_what_is_looked_for_is_on_a_page_that_is_run() -> None:
    assert set(SAYS) <= {page.name for page in _RUN}


def test_a_front_page_is_short() -> None:
    assert len(README.read_text().split()) < WORDS


def test_every_command_is_in_the_table() -> None:
    rows = list(_rows("commands.md", "Commands"))
    named = {word for row in rows for word in re.findall(r"`([a-z-]+)", row[0])}
    assert named == set(cli._COMMANDS)
    alone = {word for row in rows for word in re.findall(r"`(gg-[a-z-]+)`", row[1])}
    assert alone | {"gg"} == set(COMMANDS)


def test_every_command_has_a_native_program_that_starts_it() -> None:
    text = (ROOT / "toolchain-wrappers" / "CMakeLists.txt").read_text()
    assert re.findall(r"^set\(GG_COMMANDS (.*)\)", text, re.MULTILINE) == [" ".join(COMMANDS)]


def test_every_option_is_in_the_table_and_is_one() -> None:
    for row in _rows("commands.md", "Commands"):
        name = row[0].strip("`").split()[0].strip("`,")
        options = set(re.findall(r"--[a-z-]+", row[3])) - {"--help"}
        if "--help" not in row[3]:
            real = {
                o for p in cli.load(name).params for o in p.opts if o.startswith("--") and not getattr(p, "hidden", 0)
            }
            assert options == real - {"--debug"}, name


def test_every_setting_is_in_the_table() -> None:
    rows = list(_rows("settings.md", "Settings"))
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
    stated = {int(row[0]) for row in _rows("settings.md", "Exit statuses") if row[0].isdigit()}
    assert stated == {c.exit_code for c in classes} | {75}


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for name, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", _prose(page)):
        if "://" not in name:
            there = page.parent / name if name else page
            assert there.exists(), name
            assert not anchor or anchor in _anchors(there), f"{name}#{anchor}"


def test_the_front_page_leads_to_every_page() -> None:
    named = set(re.findall(r"\]\(docs/([^)#]*)\)", README.read_text()))
    assert named == {page.name for page in PAGES}


def test_other_commands_are_make_targets_or_pip() -> None:
    """What is not run here is run by CI: make demo, make test (which install with pip)."""
    commands = [line.split("#")[0].strip() for block in _blocks(README, "sh") for line in block.splitlines()]
    assert set(commands) == {"make demo", "make test", "pip install ."}
    assert {"make demo", "make test"} <= {
        " ".join(line.split()[:2]) for line in (ROOT / ".ci/run").read_text().splitlines()
    }
