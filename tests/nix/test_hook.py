"""`gg nix hook`: unchanged derivations, built by plain nix-build with gg behind it, are what they are without."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.nix import world

GRAPH = world.HERE / "graph.nix"


class Hooked:
    """nix with the hook, whose state is in a directory of the test's own; and without."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.checkout = world.checkout()
        self.salt = uuid.uuid4().hex
        overlay = f"import {self.checkout}/nix/overlay.nix"
        (self.gg,) = world.build("-E", f"(import <nixpkgs> {{ overlays = [ ({overlay}) ]; }}).gg")

    def build(
        self, name: str, *more: str, hook: bool, salt: str = "", by: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        return world.run([*by, *self._command(name, *more, hook=hook, salt=salt)], env=self._env())

    def begin(self, name: str, *more: str) -> subprocess.Popen[str]:
        """Begin to build with the hook; what nix says can be read while it does."""
        command = world.entered(self._command(name, *more, hook=True))
        return subprocess.Popen(
            command, env=world.environment(self._env()), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def _command(self, name: str, *more: str, hook: bool, salt: str = "") -> list[str]:
        given = ["--argstr", "checkout", str(self.checkout), "--argstr", "salt", salt or self.salt]
        options = ["--option", "sandbox", "true", "--option", "max-jobs", "2"]
        options += ["--option", "build-hook", f"{self.gg}/bin/gg-nix-hook"] if hook else []
        return ["nix-build", str(GRAPH), "-A", name, "--no-out-link", *given, *options, *more]

    def _env(self) -> dict[str, str]:
        return {"XDG_CACHE_HOME": str(self.state)}

    def thunks(self) -> list[dict[str, object]]:
        """What each gg-force in the hook's builders has told of itself, in order of time."""
        files = self.state.glob("gg/nix/records/*/gg/workspaces/*/history.jsonl")
        lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return sorted((line for line in lines if line["what"] == "force"), key=lambda line: float(line["time"]))


@pytest.fixture
def hooked(tmp_path: Path) -> Hooked:
    return Hooked(tmp_path)


def _ask(*words: str) -> list[str]:
    return world.run(["nix-store", "--query", *words]).stdout.split()


def _described(paths: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Each path's NAR hash and references."""
    hashes = dict(zip(paths, _ask("--hash", *paths), strict=True))
    return {path: (digest, _ask("--references", path)) for path, digest in hashes.items()}


def _own(top: str, salt: str) -> list[str]:
    """The outputs of this test's own derivations among all that `top` was made by, those that need others last."""
    (drv,) = _ask("--deriver", top)
    drvs = [path for path in _ask("--requisites", drv) if path.endswith(".drv")]
    own = [path for path in drvs if salt in (world.home() / path[1:]).read_text()]
    return _ask("--outputs", *own)


def _log(text: str) -> list[str]:
    """What a build prints, without what is to be built and where, in any order."""
    lines = [re.sub(r" on 'gg:.*'", "", line) for line in text.splitlines()]
    return sorted(
        line
        for line in lines
        if line and not line.startswith(("  /nix/store", "these ", "this ", "waiting for a machine"))
    )


def test_a_graph_is_what_it_is_without(hooked: Hooked) -> None:
    plain = hooked.build("all", hook=False)
    assert plain.returncode == 0, plain.stderr
    (top,) = plain.stdout.split()
    salted = _own(top, hooked.salt)
    assert len(salted) >= 12
    described = _described(salted)
    deleted = world.run(["nix-store", "--delete", *reversed(salted)])
    assert deleted.returncode == 0, deleted.stderr
    by_hook = hooked.build("all", hook=True)
    assert by_hook.returncode == 0, by_hook.stderr
    assert by_hook.stdout.split() == [top]
    assert _described(salted) == described
    assert _log(by_hook.stderr) == _log(plain.stderr)
    assert len(re.findall(r" on 'gg:", by_hook.stderr)) >= 12


@pytest.mark.parametrize("name", ["fails", "beside", "asked"])
def test_a_builder_ends_and_sees_as_it_does_without(name: str, hooked: Hooked) -> None:
    """Who fails, who writes beside its output, and who looks around."""
    plain = hooked.build(name, hook=False)
    found = Path("/dev/null")
    if plain.returncode == 0:
        found = world.home() / plain.stdout.strip()[1:]
        text = found.read_text()
        assert world.run(["nix-store", "--delete", *plain.stdout.split()]).returncode == 0
    by_hook = hooked.build(name, hook=True)
    assert (by_hook.returncode == 0) == (plain.returncode == 0), by_hook.stderr
    if plain.returncode == 0:
        assert found.read_text() == text
    else:
        assert "going wrong" in by_hook.stderr
        assert "failed with exit code 3" in by_hook.stderr


@pytest.mark.parametrize(("limit", "why"), [("timeout", "2 seconds"), ("max-silent-time", "2 seconds of silence")])
def test_a_builder_that_takes_too_long_is_ended(limit: str, why: str, hooked: Hooked) -> None:
    done = hooked.build("slow", "--option", limit, "2", hook=True)
    assert done.returncode == 101
    assert re.search(rf"error: building of '/nix/store/\S+-slow.drv' timed out after {why}$", done.stderr, re.MULTILINE)
    assert "begun\n" in done.stderr


def test_a_failed_builders_directory_is_kept(hooked: Hooked) -> None:
    done = hooked.build("fails", "--keep-failed", hook=True)
    assert done.returncode != 0
    (kept,) = re.findall(r"note: keeping build directory '(\S+)'", done.stderr)
    assert (Path(kept) / "begun").read_text() == "begun\n"
    assert hooked.build("fails", hook=True).returncode != 0
    assert list(hooked.state.glob("gg/nix/build-*")) == [Path(kept).parent]


def test_a_log_is_shown_while_the_builder_runs(hooked: Hooked, tmp_path: Path) -> None:
    """The builder waits for a file that is made when its first line was seen; afterwards `nix log` has all of it."""
    gate = tmp_path / "gate"
    gate.mkdir()
    with hooked.begin("waits", "--option", "extra-sandbox-paths", f"/gate={gate}") as nix:
        assert nix.stderr is not None
        assert "begun\n" in iter(nix.stderr.readline, "")
        (gate / "open").touch()
        told = nix.stderr.read()
        assert nix.wait(world.SECONDS) == 0, told
        assert nix.stdout is not None
        path = nix.stdout.read().strip()
    assert "over\n" in told
    assert world.run(["nix", "log", path]).stdout == "begun\nover\n"


def test_an_edited_package_runs_what_the_edit_needs(hooked: Hooked, tmp_path: Path) -> None:
    """One source of four commands: its compile and the link; the store path differs, and keeps nothing else apart."""
    source = tmp_path / "words"
    shutil.copytree(world.MINI / "words", source)
    given = ["--arg", "source", str(source)]
    first = hooked.build("words", *given, hook=True)
    assert first.returncode == 0, first.stderr
    assert sum(_ran(line) for line in hooked.thunks()) == 4 + 3, "of words and of count"
    (source / "order.c").write_text((source / "order.c").read_text().replace("? 1 : -1", "? 2 : -2"))
    second = hooked.build("words", *given, hook=True)
    assert second.returncode == 0, second.stderr
    assert second.stdout != first.stdout
    assert sum(_ran(line) for line in hooked.thunks()) == 4 + 3 + 2
    assert _described(second.stdout.split()) == _without_hook(hooked, second.stdout.split(), *given)


@world.AS_ROOT
def test_where_nix_builds_as_users_of_its_own(hooked: Hooked) -> None:
    """With the hook as without it, though the hook builds as nobody but root."""
    by_hook = hooked.build("words", hook=True, by=[str(world.BUILD_USERS)])
    assert by_hook.returncode == 0, by_hook.stderr
    assert len(re.findall(r" on 'gg:", by_hook.stderr)) == 2
    described = _described(by_hook.stdout.split())
    assert world.run(["nix-store", "--delete", *by_hook.stdout.split()]).returncode == 0
    plain = hooked.build("words", hook=False, by=[str(world.BUILD_USERS)])
    assert plain.stdout == by_hook.stdout, plain.stderr
    assert _described(plain.stdout.split()) == described


def test_two_clients_at_once(hooked: Hooked) -> None:
    """Each builds what is its own, beside the other, in the same room; both as without."""
    salts = [uuid.uuid4().hex for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda salt: hooked.build("words", hook=True, salt=salt), salts))
    for salt, done in zip(salts, both, strict=True):
        assert done.returncode == 0, done.stderr
        assert len(re.findall(r" on 'gg:", done.stderr)) == 2
        hooked.salt = salt
        assert _described(done.stdout.split()) == _without_hook(hooked, done.stdout.split())


def _ran(line: dict[str, object]) -> int:
    return int(str(line["ran"]))


def _without_hook(hooked: Hooked, paths: list[str], *given: str) -> dict[str, tuple[str, list[str]]]:
    """The same package, removed and built plainly."""
    assert world.run(["nix-store", "--delete", *paths]).returncode == 0
    plain = hooked.build("words", *given, hook=False)
    assert plain.stdout.split() == paths, plain.stderr
    return _described(paths)
