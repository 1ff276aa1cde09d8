"""`gg nix force`: a graph of derivations, each a thunk; what comes of it is what plain nix-build makes."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.nix import world
from tests.nix.test_with_gg import socket as socket
from tests.servers.deployed import Deployed, deployed
from tests.servers.seaweed import Seaweed

GRAPH = world.HERE / "graph.nix"
GG = Path(sysconfig.get_path("scripts")) / "gg"
SECONDS = 900.0


class Graph:
    """The graph, new with each salt; forced in workspaces of the test's own."""

    def __init__(self, directory: Path, env: Mapping[str, str], salt: str = "") -> None:
        self._directory = directory
        self._env = {"XDG_CACHE_HOME": str(directory / "cache"), "GG_HOME": "", **env}
        self.salt = salt or uuid.uuid4().hex
        self.given = ("--argstr", "checkout", str(world.checkout()), "--argstr", "salt", self.salt)

    def plain(self, name: str) -> list[str]:
        """Built by nix-build: all outputs that are this graph's own. They are not there any more."""
        done = world.run(["nix-build", str(GRAPH), "-A", name, "--no-out-link", *self.given])
        assert done.returncode == 0, done.stderr
        (top,) = done.stdout.split()
        (drv,) = _ask("--deriver", top)
        drvs = [path for path in _ask("--requisites", drv) if path.endswith(".drv")]
        return _ask("--outputs", *(path for path in drvs if self.salt in (world.home() / path[1:]).read_text()))

    def gg(self, workspace: str, *words: str) -> str:
        """What another command of gg prints in a workspace."""
        done = self.run(workspace, str(GG), *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def force(self, name: str, workspace: str, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run(workspace, str(GG), "nix", "force", "--file", str(GRAPH), *self.given, *more, name)

    def run(self, workspace: str, *command: str) -> subprocess.CompletedProcess[str]:
        place = self._directory / workspace
        place.mkdir(parents=True, exist_ok=True)
        return world.run(command, cwd=place, env=self._env, seconds=SECONDS)


def _ask(*words: str) -> list[str]:
    return world.run(["nix-store", "--query", *words]).stdout.split()


def _delete(paths: list[str]) -> None:
    deleted = world.run(["nix-store", "--delete", *reversed(paths)])
    assert deleted.returncode == 0, deleted.stderr


def _described(paths: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Each path's NAR hash and references."""
    hashes = dict(zip(paths, _ask("--hash", *paths), strict=True))
    return {path: (digest, _ask("--references", path)) for path, digest in hashes.items()}


def _counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    (line,) = re.findall(r"^gg: \d+ derivations: (.*) in [\d.]+ s$", done.stderr, re.MULTILINE)
    return {what: int(number) for number, what in re.findall(r"(\d+) ([a-z ]+)", line)}


def _same(graph: Graph, name: str, thunks: int, fixed: int = 0) -> str:
    """Forced twice, in two workspaces; what the first force told."""
    paths = graph.plain(name)
    assert len(paths) > thunks + fixed, "one has two outputs"
    described = _described(paths)
    _delete(paths)
    first = graph.force(name, "one")
    assert first.returncode == 0, first.stderr
    assert first.stdout.split() == paths[-1:]
    assert _described(paths) == described
    assert _counts(first) == {"ran": thunks, "cached": 0, "by nix here": fixed, "failed": 0, "not begun": 0}
    _delete(paths)
    second = graph.force(name, "two")
    assert second.returncode == 0, second.stderr
    assert _described(paths) == described
    assert _counts(second) == {"ran": 0, "cached": thunks, "by nix here": fixed, "failed": 0, "not begun": 0}
    return first.stderr


def _builds(graph: Graph, workspace: str) -> list[dict[str, object]]:
    """The runs that `gg builds` lists, the last one first."""
    return [json.loads(line) for line in graph.gg(workspace, "builds", "--json").splitlines()]


def test_two_packages_are_what_nix_build_makes(tmp_path: Path) -> None:
    """Forced again from another workspace, nothing runs. Both are listed, and more is told of each."""
    graph = Graph(tmp_path, {})
    assert "gcc  -c -o order.o order.c" in _same(graph, "words", 2)
    (first,), (second,) = _builds(graph, "one"), _builds(graph, "two")
    assert (first["what"], first["targets"], first["status"], first["ran"]) == ("nix force", ["words"], 0, 2)
    assert (second["ran"], second["cached"], second["failed"]) == (0, 2, 0)
    assert graph.gg("two", "builds", "--all").count("nix force") == 2
    told = graph.gg("one", "show", str(first["name"]))
    assert told.startswith("gg nix force words\n")
    assert "2 thunks ran on local" in told


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_graph_is_what_nix_build_makes(tmp_path: Path) -> None:
    """A chain, two outputs, a fixed output, two packages."""
    assert "this is number 7" in _same(Graph(tmp_path, {}), "all", 12, 1)


def test_a_builder_that_fails_is_told_as_nix_tells_it(tmp_path: Path) -> None:
    graph = Graph(tmp_path, {})
    done = graph.force("fails", "one")
    assert done.returncode == 100
    (path,) = re.findall(r"building '(/nix/store/\S+)'", done.stderr)
    assert f"error: builder for '{path}' failed with exit code 3" in done.stderr
    assert "going wrong\n" in done.stderr
    assert f"nix-store --realise --keep-failed {path}" in done.stderr
    assert world.run(["nix", "log", path]).stdout == "going wrong\n"
    assert _counts(done) == {"ran": 0, "cached": 0, "by nix here": 0, "failed": 1, "not begun": 0}
    (listed,) = _builds(graph, "one")
    assert (listed["status"], listed["failed"]) == (100, 1)
    assert f"error: builder for '{path}' failed" in graph.gg("one", "show", str(listed["name"]))
    kept = graph.force("fails", "one", "--keep-failed")
    assert "note: keeping build directory" in kept.stderr


def test_all_of_a_matrix_run_at_once(tmp_path: Path) -> None:
    done = Graph(tmp_path, {}).force("matrix", "one", "--jobs", "3")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 3
    said = [line for line in done.stderr.splitlines() if line in ("begun", "over")]
    assert said == ["begun"] * 3 + ["over"] * 3


def test_a_team_builds_a_derivation_once(socket: Path, tmp_path: Path) -> None:
    """Another user, who has a state and a nix of his own, takes the result from the store that they share."""
    env = {"GG_STORAGE_URI": f"unix:{socket}"}
    one = Graph(tmp_path / "one", env)
    other = Graph(tmp_path / "other", env, one.salt)
    first = one.force("words", "here")
    assert first.returncode == 0, first.stderr
    paths = one.plain("words")
    described = _described(paths)
    _delete(paths)
    second = other.force("words", "there")
    assert second.returncode == 0, second.stderr
    assert _counts(second) == {"ran": 0, "cached": 2, "by nix here": 0, "failed": 0, "not begun": 0}
    assert _described(paths) == described


@pytest.mark.parametrize("command", ["nix-build", "nix build"])
def test_a_build_by_nix_that_is_recorded(command: str, tmp_path: Path) -> None:
    """Its derivations are forced, and it does the rest: the links, the paths, its own status."""
    graph = Graph(tmp_path, {})
    begin, attribute = ("nix-build", "-A") if command == "nix-build" else ("nix build --file", "--")
    words = [f"{GG}-infer", *begin.split(), str(GRAPH), *graph.given]
    done = graph.run("one", *words, "--cores", "1", attribute, "words")
    assert done.returncode == 0, done.stderr
    assert _counts(done)["ran"] == 2
    assert (tmp_path / "one/result").readlink() == Path(graph.plain("words")[-1])
    again = graph.run("one", *words, attribute, "words")
    assert again.returncode == 0
    assert "derivations" not in again.stderr
    if command == "nix-build":
        failed = graph.run("one", *words, attribute, "fails")
        assert failed.returncode == 100
        assert failed.stderr.count("going wrong\n") == 1


def test_what_nix_builds_by_itself_is_shown_too(tmp_path: Path) -> None:
    graph = Graph(tmp_path, {})
    done = graph.force("fixed", "one")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("fetching\n") == 1
    assert _counts(done)["by nix here"] == 1
    wrong = graph.force("wrong", "one")
    assert wrong.returncode == 100
    assert wrong.stderr.count("hash mismatch") == 1
    path = re.findall(r"building '(/nix/store/\S+)'", wrong.stderr)[-1]  # nix may have resolved it to another
    assert "fetching" in world.run(["nix", "log", path]).stdout


def test_a_builder_that_writes_beside_its_output_fails(tmp_path: Path) -> None:
    done = Graph(tmp_path, {}).force("beside", "one")
    assert done.returncode == 100
    assert "wrote to '/nix/store/evil', which is no output of it" in done.stderr
    assert not (world.home() / "nix/store/evil").exists()


@pytest.fixture(scope="module")
def functions(seaweed_server: Seaweed) -> Iterator[Deployed]:
    with deployed(seaweed_server) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_graph_in_lambda(functions: Deployed, tmp_path: Path) -> None:
    env = {**functions.environment(), "GG_JOBS": "2", "GG_FALLBACK": "never"}
    assert "this is number 7" in _same(Graph(tmp_path, env), "all", 12, 1)
