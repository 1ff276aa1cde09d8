"""Who may import whom, and how much a command imports before it does anything.

The rule: `core` knows nothing of ours but `errors`; every other area knows `core` and the few that its line names; only
`cli` and the shells (`force`, `driver`, `record.session`) compose. A new edge is a decision: written here, or it fails.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import gg

SOURCE = next(Path(p) for p in gg.__path__ if (Path(p) / "core").is_dir())

# An area is a package or a module directly below gg. `gg` itself, the version and the SDK on demand, may be imported by all.
ALLOWED = {
    "": "sdk",
    "errors": "",
    "core": "errors",
    "files": "core store",
    "native": "errors",
    "allowed": "core errors",
    "harmless": "config errors",
    "settings_file": "core errors",
    "config": "allowed core errors harmless settings_file",
    "roots": "core",
    "workspace": "config core errors ledger outside roots search",
    "outside": "core",
    "helper": "",
    "search": "core errors helper native",
    "history": "workspace",
    "trust": "errors",
    "store": "aws core errors trust",
    "models": "core",
    "aws": "config errors",
    "deploy": "aws config core cost errors models native store",
    "observe": "core errors",
    "execute": "core errors files native store",
    "record": "core errors files history ledger models native outside store workspace",
    "cost": "core",
    "estimate": "cone config core cost deploy durations engines errors execute known store stores targets workspace",
    "granted": "",
    "engines": "aws config core cost deploy errors execute files granted native store wire workspace",
    "narrow": "core execute store",
    "ninja": "models",
    "durations": "core store",
    "place": "core errors helper native",
    "wire": "core errors",
    "worker": "aws core errors execute files store wire",
    "custom": "core errors native store workspace",
    "targets": "core errors search workspace",
    "sdk": "composition config core custom demand errors files harmless models observe outcome record store workspace",
    "composition": "config cost force ledger observe store stores workspace",
    "demand": "core errors outcome",
    "reading": "composition core demand errors observe outcome record targets workspace",
    "stores": "aws config core deploy errors store trust workspace",
    "resolve": "core",
    "known": "core resolve store",
    "cone": "core errors execute narrow resolve store workspace",
    "outcome": "core engines errors resolve",
    "telling": "core engines errors observe outcome",
    "awake": "",
    "mailbox": "awake core engines",
    "alone": "core",
    "driver": "alone cone core durations engines errors execute mailbox observe outcome resolve store telling",
    "names": "core errors workspace",
    "force": "alone config core cost driver engines errors execute granted known ledger mailbox names observe outcome place "
    "resolve rulefiles "
    "store targets undone words workspace",
    "ledger": "core",
    "lost": "core errors store workspace",
    "housekeeping": "core ledger record roots store workspace",
    "undone": "core ledger outcome place record store workspace",
    "words": "core ledger observe",
    "rulefiles": "core errors ninja place record store workspace",
    "formats": "core",
    "compare": "composition config core cost driver engines errors execute files formats history known models names observe "
    "outcome record resolve store workspace",
}

# Single modules that another area may know besides, and why.
EXCEPTIONS: set[tuple[str, str]] = set()
ANNOTATIONS_ONLY: set[tuple[str, str]] = set()

HEAVY = {
    "asyncio",
    "boto3",
    "botocore",
    "cryptography",
    "moto",
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


def test_every_area_has_its_line() -> None:
    areas = {_area(module) for module in _modules()}
    assert areas - {"cli"} == set(ALLOWED)


def test_nothing_imports_what_its_line_does_not_name() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, other in _edges()
        if _area(module) != "cli"
        and _area(other) not in ALLOWED.get(_area(module), "").split()
        and (_area(module), other) not in EXCEPTIONS
    ]
    assert not wrong, "\n".join(wrong)


def test_every_allowed_edge_is_used() -> None:
    """A line that allows more than is needed would let a wrong import in unseen."""
    used = {(_area(module), _area(other)) for module, other in _edges()}
    exact = {(_area(module), other) for module, other in _edges()}
    idle = [
        f"{area} -> {other}" for area, line in ALLOWED.items() for other in line.split() if (area, other) not in used
    ]
    idle += [f"{area} -> {other}" for area, other in EXCEPTIONS if (area, other) not in exact]
    assert not idle, idle


def test_annotations_stay_annotations() -> None:
    running = {(_area(module), other) for module, other in _edges(annotations=False)}
    assert not running & ANNOTATIONS_ONLY


def test_nobody_imports_the_commands() -> None:
    assert not [edge for edge in _edges() if _area(edge[1]) == "cli"]


def test_models_know_nothing_that_runs() -> None:
    known = {_area(other) for module, other in _edges() if _area(module) == "models"}
    assert known <= {"core"}


def test_areas_form_no_cycle() -> None:
    above: dict[str, set[str]] = {}
    for module, other in _edges(annotations=False):
        if (_area(module), other) not in EXCEPTIONS:
            above.setdefault(_area(module), set()).add(_area(other))
    left = dict(above)
    while left:
        free = [area for area, others in left.items() if not others & left.keys()]
        assert free, f"a cycle among {sorted(left)}"
        for area in free:
            del left[area]


def test_core_imports_no_outside_world() -> None:
    """Pure means pure: no clock, no files, no processes, no threads. `os.fsdecode` alone would be innocent."""
    worldly = {"time", "subprocess", "threading", "socket", "asyncio", "sqlite3", "shutil", "tempfile", "pathlib"}
    wrong = []
    for module, path in _modules().items():
        if _area(module) == "core":
            wrong += [
                f"{module}: {n}" for n in _imports(ast.parse(path.read_text()), annotations=False) if n in worldly
            ]
    assert not wrong


def test_the_environment_is_read_in_one_place() -> None:
    """gg's own settings: `gg.workspace.settings`. gg-infer hands its environment on as data; main asks if a shell completes."""
    allowed = {"gg.workspace.settings", "gg.worker.handler", "gg.worker.fetching", "gg.cli.infer_run", "gg.cli.main"}
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
        (25, 80),
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
        (68, 150),
        ("click", "gg.schedule.scheduler", "gg.force.driver", "gg.engines", "gg.run", "gg.observe", "dataclasses"),
    ),
    # What gg-create-thunk's scripts call most often.
    "hash_": (
        ("gg-hash", "file"),
        (23, 110),
        ("sqlite3", "gg.force.driver", "gg.engines", "gg.models", "gg.record", "gg.store.directory"),
    ),
}


@pytest.mark.parametrize("function", COMMANDS)
def test_a_command_imports_what_it_needs(workspace: Path, function: str) -> None:
    argv, (most_of_ours, most), never = COMMANDS[function]
    (workspace / "file").write_text("text\n")
    if function == "infer":  # the first one in a tree looks for placeholders that were left there
        _loaded(workspace, function, *argv)
    loaded = _loaded(workspace, function, *argv)
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert not [name for name in loaded if name.startswith(never)]
    ours = [name for name in loaded if name.partition(".")[0] == "gg"]
    assert len(ours) <= most_of_ours, sorted(ours)
    assert len(loaded) <= most, sorted(loaded)
