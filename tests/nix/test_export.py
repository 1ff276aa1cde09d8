"""`gg export nix`: nix-build makes the same bytes from it, and after an edit builds just what the edit changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.packages import recipe, sources
from tests.e2e.conftest import project as project
from tests.e2e.project import SCRIPTS, Project
from tests.e2e.test_21_export import build
from tests.nix import world


def _built(directory: Path, *arguments: str, by: tuple[str, ...] = ()) -> tuple[dict[str, Path], list[str]]:
    """The outputs by their derivations' names, and the names of the derivations that were built."""
    done = world.run([*by, "nix-build", "--no-out-link", str(directory), *arguments])
    assert done.returncode == 0, done.stderr
    built = [
        line.split("'")[1].removesuffix(".drv") for line in done.stderr.splitlines() if line.startswith("building")
    ]
    paths = [world.home() / path.removeprefix("/") for path in done.stdout.split()]
    return {path.name[33:]: path for path in paths}, sorted(name.split("-", 1)[1] for name in built)


def _export(project: Project, *arguments: str) -> str:
    return project.gg("export", "nix", "prog", "tool", "-o", "../nix", *arguments).text


def test_the_same_bytes_and_only_what_changed(project: Project, tmp_path: Path) -> None:
    build(project)
    assert "8 derivations, which run 8 commands" in _export(project, "--batch", "0")
    project.force()
    outputs, built = _built(tmp_path / "nix")
    assert built == ["a.o", "b.o", "libmore.a", "main.o", "prog", "tool", "tool", "tool.o"]
    for name in ("prog", "tool"):
        assert (outputs[name] / name).read_bytes() == project.path(name).read_bytes()
        assert (outputs[name] / name).stat().st_mode & 0o111
    project.write("b.c", '#include "all.h"\nint b(void) { return 3; }\n')
    project.path("libmore.a").unlink()  # or ar would change the one that is there, which then is made too
    project.build()
    _export(project, "--batch", "0")
    outputs, built = _built(tmp_path / "nix")
    assert built == ["b.o", "libmore.a", "prog", "tool", "tool"]
    assert (outputs["tool"] / "tool").read_bytes() == project.path("tool").read_bytes()


@world.AS_ROOT
def test_where_nix_builds_as_users_of_its_own(project: Project, tmp_path: Path) -> None:
    """There the root of nix's sandbox cannot be written."""
    build(project)
    _export(project, "--batch", "0")
    project.force()
    outputs, built = _built(tmp_path / "nix", by=(str(world.BUILD_USERS),))
    assert len(built) == 8
    for name in ("prog", "tool"):
        assert (outputs[name] / name).read_bytes() == project.path(name).read_bytes()


def _stamps(top: Path) -> dict[Path, tuple[int, int]]:
    return {path: ((found := path.lstat()).st_ino, found.st_mtime_ns) for path in top.rglob("*")}


def test_where_the_sandbox_is_off(project: Project, tmp_path: Path) -> None:
    """Commands would run at their own paths in the machine's own tree: nothing is run, and nothing written."""
    build(project)
    _export(project, "--batch", "0")
    before = _stamps(project.root)
    done = world.run(["nix-build", "--no-out-link", str(tmp_path / "nix"), "--option", "sandbox", "false"])
    assert done.returncode != 0
    assert "nix's sandbox is off" in done.stderr
    assert _stamps(project.root) == before


def test_short_steps_share_a_derivation(project: Project, tmp_path: Path) -> None:
    build(project)
    assert "which run 8 commands" in (told := _export(project, "--batch", "100"))
    assert "3 derivations" in told  # the library has two users
    project.force()
    outputs, built = _built(tmp_path / "nix", "-A", "tool")
    assert built == ["libmore.a", "tool"]
    assert (outputs["tool"] / "tool").read_bytes() == project.path("tool").read_bytes()


def test_addressed_by_content_an_edit_without_effect_builds_no_more(project: Project, tmp_path: Path) -> None:
    build(project)
    _export(project, "--batch", "0")
    _built(tmp_path / "nix", "--arg", "contentAddressed", "true")
    project.write("b.c", '#include "all.h"\nint b(void) { return 2; } /* two */\n')
    project.path("libmore.a").unlink()
    project.build()
    _export(project, "--batch", "0")
    shutil.copytree(tmp_path / "nix", tmp_path / "elsewhere")
    _, built = _built(tmp_path / "elsewhere", "--arg", "contentAddressed", "true")
    assert built == ["b.o"]


def test_what_is_in_nixs_store_is_referred_to(project: Project, tmp_path: Path) -> None:
    """A compiler, a library: the derivations have them for inputs, and the program refers to those that it needs."""
    compiler, tools, count = world.build("<nixpkgs>", "-A", "ccWrapper", "-A", "bootstrap", "-A", "count")
    shutil.copytree(world.MINI / "words", project.root, dirs_exist_ok=True)
    env = {
        **project.env,
        "PATH": f"{compiler}/bin:{tools}/bin:{project.env['PATH']}",
        "CC": "gcc",
        "NIX_CFLAGS_COMPILE": f"-isystem {count}/include",
        "NIX_LDFLAGS": f"-L{count}/lib",
        "NIX_STORE": "/nix/store",
    }
    _within(project, env, "make")
    plain = project.path("words").read_bytes()
    for name in ("words", "main.o", "order.o", "table.o"):
        project.path(name).unlink()
    _within(project, env, SCRIPTS / "gg-infer", "make")
    _within(project, env, SCRIPTS / "gg", "export", "nix", "words", "-o", tmp_path / "nix")
    outputs, _ = _built(tmp_path / "nix")
    assert (outputs["words"] / "words").read_bytes() == plain
    assert not [path for path in (tmp_path / "nix/trees").rglob("*") if "nix/store/" in str(path)]
    asked = world.run(["nix-store", "--query", "--references", f"/nix/store/{outputs['words'].name}"])
    assert {count, tools} <= set(asked.stdout.split())


def _within(project: Project, env: dict[str, str], *argv: str | Path) -> None:
    done = world.run([str(word) for word in argv], cwd=project.root, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


_PROGRAMS = ("src/frontend/mosh-server", "src/frontend/mosh-client")
_EDITED = "src/crypto/base64.cc"


def _edit(project: Project) -> None:
    source = project.path(_EDITED)
    source.write_text(source.read_text() + "int added(int x);\nint added(int x) { return x + 1; }\n")


def _plainly(project: Project) -> tuple[list[bytes], list[bytes]]:
    """mosh's programs by plain make, before and after the edit; the tree is then as configure has left it."""
    sources.unpack(world.source("mosh"), project.root)
    project.run("./configure")
    aside = project.root.with_name("aside")
    shutil.copytree(project.root, aside, symlinks=True)
    project.make("-j2")
    first = [project.path(name).read_bytes() for name in _PROGRAMS]
    _edit(project)
    project.make("-j2")
    second = [project.path(name).read_bytes() for name in _PROGRAMS]
    shutil.rmtree(project.root)
    aside.rename(project.root)
    return first, second


def _by_nix(project: Project, directory: Path) -> tuple[list[bytes], list[str]]:
    """mosh's programs, recorded, exported and built by nix, and the derivations that were built."""
    project.infer("make", "-j2")
    project.gg("export", "nix", *_PROGRAMS, "-o", str(directory))
    outputs, built = _built(directory)
    return [(outputs[Path(name).name] / name).read_bytes() for name in _PROGRAMS], built


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_package(project: Project, tmp_path: Path) -> None:
    """mosh, 30 compiles: nix makes what make makes, and after the edit of one source what needs that."""
    sources.install_dependencies(sources.missing_dependencies([recipe.load()["mosh"]]))
    project.seconds = world.SECONDS
    first, second = _plainly(project)
    programs, built = _by_nix(project, tmp_path / "nix")
    assert programs == first
    assert len(built) > 30
    _edit(project)
    programs, built = _by_nix(project, tmp_path / "nix")
    assert programs == second
    assert built == ["base64.o", "libmoshcrypto.a", "mosh-client", "mosh-server"]
