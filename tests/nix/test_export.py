"""`gg export nix`: nix-build makes the same bytes from it, and after an edit builds just what the edit changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.conftest import project as project
from tests.e2e.project import Project
from tests.e2e.test_21_export import build
from tests.nix import world


def _built(directory: Path, *arguments: str) -> tuple[dict[str, Path], list[str]]:
    """The outputs by their derivations' names, and the names of the derivations that were built."""
    done = world.run(["nix-build", "--no-out-link", str(directory), *arguments])
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
