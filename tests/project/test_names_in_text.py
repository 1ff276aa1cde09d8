"""What documentation, docstrings and comments name is there: modules, files, tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).parents[2]
WRITTEN = (
    "*.md", "docs/*.md", "gg/**/*.md", "gg/**/*.py", "tests/**/*.py", "benchmarks/**/*.py", "benchmarks/*.md",
    "toolchain-wrappers/**/*.[ch]", "toolchain-wrappers/*.md", "nix/*",
)  # fmt: skip
MODULE = re.compile(r"(?<![\w./@-])gg((?:\.[a-z]\w*){2,}(?:\.[A-Z]\w*(?:\.\w+)?)?)(?![\w(])|`gg(\.[a-z]\w*)`")
"""One word behind `gg.` names a module only between backticks: it may be a file's ending."""
PATH = re.compile(r"(?<![\w./*{}$-])((?:[\w-]+/)+[\w-]+\.(?:py|c|h|md))\b(?![\w.])")
OTHERS = frozenset({"toml", "nixosModules", "overlays", "packages"})
"""What may stand behind `gg.` and is no module: a settings file, attributes of the flake."""


def _texts() -> Iterator[tuple[Path, str]]:
    for pattern in WRITTEN:
        for path in sorted(HERE.glob(pattern)):
            if path.is_file():
                yield path.relative_to(HERE), path.read_text()


@cache
def _files() -> frozenset[str]:
    """All paths of the tree, and their ends: `core/thunk.py` for `gg/core/thunk.py`."""
    tops = ("gg", "tests", "docs", "benchmarks", "toolchain-wrappers", "nix")
    whole = [path.relative_to(HERE).as_posix() for top in tops for path in (HERE / top).rglob("*")]
    whole += [path.name for path in HERE.iterdir()]
    return frozenset("/".join(path.split("/")[at:]) for path in whole for at in range(path.count("/") + 1))


@cache
def _folders() -> frozenset[str]:
    """What a path of ours begins with: the top's folders, gg's rooms, the C programs' folders."""
    rooms = [path.name for top in ("gg", "toolchain-wrappers") for path in (HERE / top).iterdir() if path.is_dir()]
    return frozenset({"gg", "tests", "docs", "benchmarks", "toolchain-wrappers", *rooms})


@cache
def _is_module(name: str) -> bool:
    """Whether there is a module of that name, or it has what the last one or two words name."""
    parts = name.split(".")
    for most in range(len(parts), max(0, len(parts) - 3), -1):
        place = HERE / "gg" / "/".join(parts[:most])
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.exists():
                return most == len(parts) or re.search(rf"\b{parts[most]}\b", file.read_text()) is not None
    return False


def test_modules_that_are_named_are_there() -> None:
    wrong = [
        f"{path}: gg{name}"
        for path, text in _texts()
        for name in (found[1] or found[2] for found in MODULE.finditer(text))
        if name.split(".")[1] not in OTHERS and not _is_module(name[1:])
    ]
    assert not wrong, "\n".join(wrong)


def test_files_that_are_named_are_there() -> None:
    wrong = [
        f"{path}: {name[1]}"
        for path, text in _texts()
        for name in PATH.finditer(text)
        if name[1].split("/")[0] in _folders() and name[1] not in _files()
    ]
    assert not wrong, "\n".join(wrong)


def test_what_the_design_names_is_there() -> None:
    """Every file of ours that it calls by its name alone, or by any path, and every test."""
    text = (HERE / "gg/DESIGN.md").read_text()
    named = re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|c|h|md))`", text)
    tests = [path.name for path in (HERE / "tests").rglob("test_*")]
    wrong = [name for name in named if name not in _files()]
    wrong += [
        name for name in re.findall(r"`(?:[\w]+/)*(test_\w+)`", text) if not any(t.startswith(name) for t in tests)
    ]
    assert not wrong, wrong
