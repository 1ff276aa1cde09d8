"""gg's own flake, with the tests' nixpkgs in place of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nix import world


def _nix(directory: Path, *words: str, then: tuple[str, ...] = ()) -> str:
    given = [
        "--override-input",
        "nixpkgs",
        f"path:{world.nixpkgs()}",
        "--no-write-lock-file",
        "--option",
        "sandbox",
        "true",
    ]
    done = world.run(["nix", *words, *given, *then], cwd=directory)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _flake() -> str:
    return f"git+file://{world.checkout()}?dir=nix"


@pytest.mark.slow
def test_its_checks(tmp_path: Path) -> None:
    """Packages, overlay, module and shell evaluate; the check of same bytes is built in nix's sandbox."""
    _nix(tmp_path, "flake", "check", _flake())


def test_its_package_and_its_shell(tmp_path: Path) -> None:
    _nix(tmp_path, "build", _flake())
    top = world.home() / str((tmp_path / "result").readlink())[1:]
    assert {"gg", "gg-infer", "gg-force", "gg-nix-hook"} <= {path.name for path in (top / "bin").iterdir()}
    told = _nix(tmp_path, "develop", _flake(), then=("--command", "bash", "-c", "type -p gg-infer cmake"))
    assert told.split() == [f"/nix/store/{top.name}/bin/gg-infer", *told.split()[1:]]
    assert "cmake" in told
