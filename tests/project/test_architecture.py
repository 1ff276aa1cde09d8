"""Who may import whom, and how much a command imports before it does anything.

The rule is DESIGN's table of rooms: a room imports those above it. A new room is a decision: it has a line there, or this fails.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import gg

SOURCE = next(Path(p) for p in gg.__path__ if (Path(p) / "core").is_dir())

DESIGN = SOURCE / "DESIGN.md"

HEAVY = {
    "asyncio",
    "boto3",
    "botocore",
    "cryptography",
    "grpc",
    "moto",
    "obstore",
    "zstandard",
    "rich",
    "pytest",
    "hypothesis",
    "xml",
    "email",
    "http",
}


@cache
def _modules() -> dict[str, Path]:
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = ("gg", *path.relative_to(SOURCE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _area(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def _imports(tree: ast.AST, *, annotations: bool) -> Iterator[str]:
    """The modules of ours that a module's text imports anywhere, functions included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            if annotations:
                yield from _imports(node, annotations=True)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield full if full in _modules() else str(node.module)
        else:
            yield from _imports(node, annotations=annotations)


def _edges(*, annotations: bool = True) -> Iterator[tuple[str, str]]:
    """(module, imported module) between different areas."""
    for module, path in _modules().items():
        for other in _imports(ast.parse(path.read_text()), annotations=annotations):
            if other.startswith("gg.") and _area(other) != _area(module):
                yield module, other


def _order() -> list[str]:
    """The rooms as DESIGN has them: each may import those before it."""
    table = DESIGN.read_text().partition("\n## Rooms\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_every_room_has_its_line() -> None:
    rooms = {_area(module) for module in _modules()} - {"", "errors"}
    assert rooms == set(_order())
    assert len(_order()) == len(rooms)


def test_rooms_import_those_above_them() -> None:
    """`gg` itself, the version and the SDK on demand, may be imported by all."""
    order = ["", "errors", *_order()]
    wrong = [
        f"{module} imports {other}"
        for module, other in _edges()
        if order.index(_area(other)) > order.index(_area(module)) and (module, other) != ("gg", "gg.sdk")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_modules_lie_loose() -> None:
    loose = [path.name for path in SOURCE.glob("*.py")]
    assert sorted(loose) == ["__init__.py", "errors.py"]


def test_every_file_has_a_name_of_its_own() -> None:
    names: dict[str, list[str]] = {}
    for module, path in _modules().items():
        if path.name != "__init__.py":
            names.setdefault(path.name, []).append(module)
    assert not [modules for modules in names.values() if len(modules) > 1]


LONGEST_FUNCTION = 40  # lines
LONGEST_FILE = 400  # lines; what is a table may be longer
TABLES = {"gg.models.driver.flags"}


def test_functions_and_files_stay_short() -> None:
    long: list[str] = []
    for module, path in _modules().items():
        text = path.read_text()
        lines = text.count("\n")
        if lines > LONGEST_FILE and module not in TABLES:
            long.append(f"{module} has {lines} lines")
        for each in ast.walk(ast.parse(text)):
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (each.end_lineno or 0) - each.lineno + 1
                if size > LONGEST_FUNCTION:
                    long.append(f"{module}.{each.name} has {size} lines")
    assert not long, "\n".join(long)


def test_no_modules_import_each_other() -> None:
    """Not even for annotations, and not in functions. Packages that load their parts on demand are no module here."""
    above = {
        module: {
            other
            for other in _imports(ast.parse(path.read_text()), annotations=True)
            if other in _modules() and other != module and _modules()[other].name != "__init__.py"
        }
        for module, path in _modules().items()
        if path.name != "__init__.py"
    }
    left = dict(above)
    while free := [module for module, others in left.items() if not others & left.keys()]:
        for module in free:
            del left[module]
    assert not [module for module in left if module in _reached(module, left)]


def _reached(start: str, above: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    wanted = list(above[start])
    while wanted:
        module = wanted.pop()
        if module in above and module not in reached:
            reached.add(module)
            wanted += above[module]
    return reached


def test_every_room_says_what_it_promises() -> None:
    for path in SOURCE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_nobody_imports_the_commands() -> None:
    assert not [edge for edge in _edges() if _area(edge[1]) == "cli"]


def test_models_know_nothing_that_runs() -> None:
    known = {_area(other) for module, other in _edges() if _area(module) == "models"}
    assert known <= {"core", "light", "formats"}


def test_core_imports_no_outside_world() -> None:
    """Pure means pure: no clock, no files, no processes, no threads. `os.fsdecode` alone would be innocent."""
    worldly = {"time", "subprocess", "threading", "socket", "asyncio", "sqlite3", "shutil", "tempfile", "pathlib"}
    wrong = []
    for module, path in _modules().items():
        if _area(module) in ("core", "schedule"):
            wrong += [
                f"{module}: {n}" for n in _imports(ast.parse(path.read_text()), annotations=False) if n in worldly
            ]
    assert not wrong


def test_the_environment_is_read_in_one_place() -> None:
    """gg's own settings: `gg.workspace.settings` and, for where they are, `homes`. gg-infer hands its environment on as data;
    main asks if a shell completes."""
    settings = {"gg.workspace.settings", "gg.workspace.homes"}
    allowed = settings | {"gg.worker.handler", "gg.worker.hidden", "gg.cli.infer_run", "gg.cli.main"}
    wrong = {
        module
        for module, path in _modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
    }
    assert wrong <= allowed, wrong - allowed


# What starting costs, in modules: a number that does not wobble as milliseconds do.

_PROGRAM = """
import json, sys
before = set(sys.modules)
from gg.cli import main
main.leave = sys.exit
sys.argv = {argv!r}
try:
    main.{function}()
except SystemExit as end:
    status = end.code
print(json.dumps([status, sorted(set(sys.modules) - before)]))
"""


def _loaded(tmp_path: Path, function: str, *argv: str) -> set[str]:
    """The modules that a command has imported when it is over, those of the interpreter's own start left out."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GG_")}
    roots = [p for p in sys.path if p] + [os.getcwd()]
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(roots)}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(argv=list(argv), function=function)],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0, done.stderr
    return set(modules)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    _loaded(tmp_path, "init", "gg-init")
    return tmp_path


# Each command: its line, the most modules of ours and of all, and what it never imports. The totals leave room for other
# versions of Python, whose library is cut otherwise.
COMMANDS = {
    # gg-force, when there is nothing to do.
    "force": (
        ("gg-force",),
        (34, 90),
        (
            "click",
            "msgpack",
            "sqlite3",
            "gg.schedule.scheduler",
            "gg.force.driver",
            "gg.engines",
            "gg.run",
            "gg.models",
            "gg.record",
        ),
    ),
    # gg-infer: the recorder, no model before its tool is called, and nothing that schedules or runs.
    "infer": (
        ("gg-infer", "true"),
        (90, 167),
        ("click", "gg.schedule.scheduler", "gg.force.driver", "gg.engines", "gg.run", "gg.observe", "dataclasses"),
    ),
    # gg-force, when a command is to run on this machine and nothing is shared.
    "force_one": (
        ("gg-force",),
        (132, 216),
        (
            "click",
            "gg.share.tiered",
            "gg.aws",
            "gg.models",
            "gg.record",
            "concurrent",
            "dataclasses",
            "logging",
            "inspect",
        ),
    ),
    # What gg-create-thunk's scripts call most often.
    "hash_": (
        ("gg-hash", "file"),
        (31, 116),
        ("sqlite3", "gg.force.driver", "gg.engines", "gg.models", "gg.record", "gg.store.directory"),
    ),
}


@pytest.mark.parametrize("function", COMMANDS)
def test_a_command_imports_what_it_needs(workspace: Path, function: str) -> None:
    argv, (most_of_ours, most), never = COMMANDS[function]
    (workspace / "file").write_text("text\n")
    if function == "infer":  # the first one in a tree looks for placeholders that were left there
        _loaded(workspace, function, *argv)
    if function == "force_one":
        (workspace / "file.c").write_text("int one(void) { return 1; }\n")
        (workspace / "Makefile").write_text("file.o: file.c\n")
        _loaded(workspace, "infer", "gg-infer", "make")
        assert not (workspace / "file.o").read_bytes().startswith(b"\x7fELF")
    loaded = _loaded(workspace, function.removesuffix("_one"), *argv)
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert not [name for name in loaded if name.startswith(never)]
    ours = [name for name in loaded if name.partition(".")[0] == "gg"]
    assert len(ours) <= most_of_ours, sorted(ours)
    assert len(loaded) <= most, sorted(loaded)
